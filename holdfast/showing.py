"""What the methods of `Project` return, in words and in pictures: the same as the command line shows."""

from typing import TYPE_CHECKING

from features.errors import BadInput
from features.ingest import Ingested
from holdfast import check_telling, gate_telling, telling
from holdfast.check_steps import Checked
from holdfast.define_steps import Defined
from holdfast.gate_steps import Promoted, RolledBack
from holdfast.steps import Scored, Trained
from training.backtest import Backtest
from training.gate import Verdict
from training.trial import NAMES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def tell(done: object) -> str:  # noqa: PLR0911 - one answer a kind
    """What a method of `Project` came to, as plain text of at most 110 characters a line.

    Raises `BadInput` for what no such method returns.
    """
    match done:
        case Ingested():
            return telling.ingested_text(done)
        case Defined():
            return done.says
        case Checked():
            return check_telling.checked_text(done, onward="")
        case Trained():
            return _trained(done)
        case Verdict():
            return gate_telling.verdict_text(done)
        case Promoted():
            return gate_telling.promoted_text(done)
        case RolledBack():
            return gate_telling.rolled_back_text(done)
        case Scored():
            return telling.scored_text(done, onward="")
        case Backtest():
            return _backtest(done)
    raise BadInput(f"{type(done).__name__} cannot be told; expected what a method of a Project returned.")


def figures(done: object) -> "dict[str, Figure]":
    """The pictures of what `define`, `train` or `backtest` found, by name, as Matplotlib figures.

    Raises `BadInput` for what has none.
    """
    if isinstance(done, Defined):
        from training import define_plots  # noqa: PLC0415 - matplotlib costs half a second

        return define_plots.of_definitions(done.found, done.sides)
    if isinstance(done, Trained):
        from training.plots import figures as of_training  # noqa: PLC0415 - as above

        return of_training(done.training)
    if isinstance(done, Backtest):
        from training.backtest_plots import figures as of_backtest  # noqa: PLC0415 - as above

        return of_backtest(done)
    raise BadInput(f"{type(done).__name__} has no pictures; expected what define, train or backtest returned.")


def metrics(done: object) -> "pd.DataFrame":
    """What `train` or `backtest` measured: a row a metric and a contestant, with the ends of its 95 % interval.

    The columns are `metric`, `of` (the model or a baseline), `value`, `low` and `high`; what the rows cannot carry is
    missing. Raises `BadInput` for what measured nothing.
    """
    import pandas as pd  # noqa: PLC0415 - as above

    if not isinstance(done, Trained | Backtest):
        raise BadInput(f"{type(done).__name__} measured nothing; expected what train or backtest returned.")
    trial = done.training.trial if isinstance(done, Trained) else done.pooled
    rows = [
        (metric, NAMES[name], each.value, each.low, each.high)
        for name, found in trial.evaluations.items()
        for metric, each in found.estimates.items()
    ]
    return pd.DataFrame(rows, columns=["metric", "of", "value", "low", "high"])


def _trained(done: Trained) -> str:
    from training.report import report  # noqa: PLC0415 - as above

    serves = "is the champion now" if done.promoted else "is registered as challenger and does not serve"
    return f"{report(done.training)}\n\nVersion {done.recorded.version} {serves}."


def _backtest(done: Backtest) -> str:
    from holdfast.backtest_telling import report  # noqa: PLC0415 - as above

    return report(done)
