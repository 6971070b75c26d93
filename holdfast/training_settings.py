"""The settings of training: how a model is learnt, judged and priced; part of the table in `holdfast.settings`."""

from dataclasses import dataclass

from holdfast.setting import setting


@dataclass(frozen=True, slots=True)
class Train:
    """How a model is learnt."""

    seed: int = setting(0, "the same seed, data and versions give the same model", metavar="NUMBER")
    step_days: int = setting(0, "days between cutoffs; 0: 7, or 2 for horizons up to a fortnight", metavar="DAYS")
    max_cutoffs: int = setting(60, "most cutoffs that are learnt from", metavar="NUMBER")
    test_cutoffs: int = setting(1, "newest cutoffs that the model is tested on", metavar="NUMBER")
    max_rows: int = setting(300_000, "most rows (users at cutoffs) that are learnt from", metavar="NUMBER")
    replicates: int = setting(300, "draws of the bootstrap behind the 95 % intervals", metavar="NUMBER")
    trees: int = setting(250, "most trees", metavar="NUMBER")
    leaves: int = setting(7, "leaves of a tree", metavar="NUMBER")
    learning_rate: float = setting(0.03, "how much a tree may say", metavar="NUMBER")
    rows_per_leaf: int = setting(200, "fewest rows in a leaf", metavar="NUMBER")
    column_share: float = setting(0.3, "share of the features that are drawn for each tree", metavar="SHARE")
    row_share: float = setting(0.8, "share of the rows that are drawn for each tree", metavar="SHARE")
    l2: float = setting(20.0, "penalty on the weights of leaves", metavar="NUMBER")
    linear_l2: float = setting(1000.0, "penalty on the weights of the spline regression", metavar="NUMBER")
    risk_rises_with: tuple[str, ...] = setting(
        (),
        "features, or patterns of their names, with which the risk may only rise",
        example='["days_since_last_event"]',
        metavar="FEATURE",
    )
    risk_falls_with: tuple[str, ...] = setting(
        (),
        "features, or patterns of their names, with which the risk may only fall",
        example='["active_days_*"]',
        metavar="FEATURE",
    )
    tune_trials: int = setting(
        0, "search so many times for better settings of the trees; used only if they prove better", metavar="NUMBER"
    )
    tune_seconds: float = setting(0.0, "search for better settings so long; 0: no limit", metavar="SECONDS")
    risk_curve: bool = setting(False, "learn the risk by day too, which makes a training longer", metavar="TRUTH")
    drop_families: bool = setting(
        False,
        "fit anew without each family of features, to tell what it is worth; a fit each, or three if calibrated",
        metavar="TRUTH",
    )


@dataclass(frozen=True, slots=True)
class Gate:
    """What a challenger has to show before it takes the champion's place."""

    capacity: float = setting(
        0.10, "share of the users that your team can look after; recall is compared there", metavar="SHARE"
    )
    log_loss_margin: float = setting(
        0.02, "the log loss may not be worse by more than this share of the champion's", metavar="SHARE"
    )
    recall_margin: float = setting(
        0.05, "the recall at capacity may not be worse by more than this share of the champion's", metavar="SHARE"
    )
    windows: int = setting(4, "newest windows (closed cutoffs) that both are compared on", metavar="NUMBER")
    segment_users: int = setting(200, "fewest users of a segment that is looked at", metavar="NUMBER")


@dataclass(frozen=True, slots=True)
class Costs:
    """What keeping a user is worth to you and what trying costs, in your currency: the report then counts profit."""

    value: float = setting(
        0.0,
        "value of a user who was about to leave and stays; 0: not said, see value_days",
        option="--kept-value",
        metavar="AMOUNT",
    )
    value_days: int = setting(
        0,
        "take that value from the events: what those who left had spent in so many days; 0: do not",
        metavar="DAYS",
    )
    contact: float = setting(1.0, "cost of contacting a user", option="--contact-cost", metavar="AMOUNT")
    incentive: float = setting(10.0, "cost of what a user is offered, if he accepts", metavar="AMOUNT")
    success_rate: float = setting(
        0.3, "share of the contacted users who were about to leave and stay for it", metavar="SHARE"
    )
    contacts: int = setting(
        0, "users that your team can contact at a cutoff; 0: the share in [gate] capacity", metavar="NUMBER"
    )
