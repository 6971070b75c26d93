"""The model card: one page on what a model is for, how good it is, and what it must not be used for.

Its parts follow Mitchell and others (2019): the model, its intended use, the data, the figures with their intervals,
what was found, and the limits. The same card is written as Markdown beside the model and shown in the report.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features.feature_set import FeatureSet
from features.windows import iso
from models.definition import ChurnDefinition
from models.model import ChurnModel

Facts = Mapping[str, Any]  # Any: JSON
TITLE = "Churn model"
METRICS = {
    "auc": "AUC",
    "pr_auc": "PR-AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "predicted_over_observed": "predicted ÷ observed churners",
    "recall_at_capacity": "recall at capacity",
    "lift_at_capacity": "lift at capacity",
}
BASELINES = {
    "last_seen_rule": "last-seen rule",
    "rfm": "RFM score",
    "logistic_regression": "logistic regression",
}
STEPS = {
    "fit": "fit of the tested model",
    "calibration": "calibration",
    "test": "test",
    "deployed_fit": "fit of the deployed model",
}
_SHOWN_ELSEWHERE = frozenset(
    {"verdict", "quality", "baselines", "importance", "rows", "cutoffs", "readiness", "leakage", "decision"}
    | {"left_out", "profit", "stability", "level", "tuning", "risk_curve", "settings"}  # in the report
)


@dataclass(frozen=True, slots=True)
class Part:
    """A heading with points, rows of a table, or both."""

    title: str
    points: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """What a card says, part by part."""

    lead: str
    parts: tuple[Part, ...]

    def markdown(self) -> str:
        """The card as a page of Markdown."""
        lines = [f"# {TITLE}", "", self.lead]
        for part in self.parts:
            lines += ["", f"## {part.title}"]
            if part.points:
                lines += ["", *(f"- {_one_line(point)}" for point in part.points)]
            if part.rows:
                lines += ["", _row(part.head), _row(["---"] * len(part.head)), *map(_row, part.rows)]
        return "\n".join([*lines, ""])


def model_card(
    model: ChurnModel,
    features: FeatureSet,
    *,
    definition: ChurnDefinition,
    facts: Facts,
    fifths_as_of: datetime | None = None,
) -> str:
    """Markdown of about a page; see `card_of`."""
    return card_of(model, features, definition=definition, facts=facts, fifths_as_of=fifths_as_of).markdown()


def card_of(
    model: ChurnModel,
    features: FeatureSet,
    *,
    definition: ChurnDefinition,
    facts: Facts,
    fifths_as_of: datetime | None = None,
) -> Card:
    """The card of a model; of `facts` those of a training have their places, any others are listed with the model.

    `fifths_as_of` is the cutoff at which the fifths of the population were taken, where features are relative to it.
    """
    parts = (
        _verdict(facts.get("verdict", {})),
        Part("Model", tuple(_model(model, features, facts, fifths_as_of))),
        INTENDED_USE,
        _learnt_from(facts.get("rows", {}), facts.get("cutoffs", {})),
        _figures("Quality on the test, with 95 % intervals", facts.get("quality", {}), METRICS),
        _gains(facts.get("baselines", {})),
        _importance(facts.get("importance", {})),
        Part("Found before and while learning", tuple(_found(facts))),
        LIMITS,
    )
    lead = f"{definition.says()} Definition `{definition.id}`."
    return Card(lead, tuple(part for part in parts if part.points or part.rows))


INTENDED_USE = Part(
    "Intended use",
    (
        "To rank the users of the population above by their risk to churn, so that a team can look after some of them.",
        "By people who see the reasons beside the probability, and who can leave a user alone.",
        "Whether contacting helps is another question; only users who are left out of it at random can answer it.",
    ),
)
LIMITS = Part(
    "Limits",
    (
        "A reason says what moved the score. It is not a cause, and acting on it need not keep the user.",
        "The probability holds for users of the population above; others get no score.",
        "When prices, products or seasons change the past misleads: train again, and watch the calibration.",
        "The figures are the tested model's. The deployed one follows the same recipe on newer outcomes.",
        "Not meant for decisions with legal or similarly serious effect on a person.",
    ),
)


def _verdict(verdict: Facts) -> Part:
    decision = [f"{verdict['decision']}"] if "decision" in verdict else []
    return Part("Verdict", (*decision, *(_value(reason) for reason in verdict.get("reasons", ()))))


def _model(model: ChurnModel, features: FeatureSet, facts: Facts, fifths_as_of: datetime | None) -> Iterator[str]:
    fitted = model.facts_
    for name, value in facts.items():
        if name not in _SHOWN_ELSEWHERE and value is not None:
            yield f"{_words(name)}: {_value(value)}"
    yield f"fitted on {fitted.rows:,} rows, {fitted.churned_share:.1%} churned"
    halfway = f"{fitted.halfway} on who is away for half the horizon, " if fitted.halfway else ""
    yield (
        f"{len(fitted.trees)} boosters of {_value(list(fitted.trees))} trees, "
        f"{halfway}weight {fitted.booster_weight:g}; spline regression {fitted.linear}"
    )
    yield f"{len(features.names)} features, fingerprint `{features.fingerprint}`"
    if fifths_as_of is not None:
        yield f"fifths of the population as of {iso(fifths_as_of)}"


def _learnt_from(rows: Facts, cutoffs: Facts) -> Part:
    told = []
    for step, title in STEPS.items():
        if f"{step}_rows" in rows:
            share = rows.get(f"{step}_churned_share")
            counts = (f"{rows[f'{step}_rows']:,.0f}", f"{rows.get(f'{step}_users', 0):,.0f}")
            told.append((title, *counts, "-" if share is None else f"{share:.1%}", str(cutoffs.get(step, "-"))))
    return Part("Learnt from and tested on", head=("step", "rows", "users", "churned", "cutoffs"), rows=tuple(told))


def _figures(title: str, figures: Facts, names: Mapping[str, str]) -> Part:
    known = {name: words for name, words in names.items() if name in figures}
    return Part(
        title, head=("metric", "value"), rows=tuple((words, _cell(figures, name)) for name, words in known.items())
    )


def _gains(figures: Facts) -> Part:
    told = tuple(
        (words, *(_cell(figures, f"gain_{metric}_over_{name}") for metric in ("auc", "log_loss")))
        for name, words in BASELINES.items()
        if f"gain_auc_over_{name}" in figures
    )
    return Part("The model minus simple rules, on the same rows", head=("rule", "AUC", "log loss"), rows=told)


def _importance(sizes: Facts) -> Part:
    told = tuple((name, f"{size:.3f}") for name, size in sizes.items())
    return Part("What moves the score", head=("family of features", "mean absolute log-odds"), rows=told)


def _found(facts: Facts) -> Iterator[str]:
    readiness = facts.get("readiness") or {}
    for remark in readiness.get("remarks", ()):
        yield f"{remark['level']}: {remark['found']}"
    checks: Sequence[Facts] = facts.get("leakage") or ()
    if checks:
        found = [one["sentence"] for check in checks for one in check["found"]]
        yield f"leakage: {len(checks)} checks, " + ("; ".join(found) if found else "all clean")


def _cell(figures: Facts, name: str) -> str:
    """A figure with its interval, where it has one."""
    if f"{name}_low" not in figures:
        return _value(figures.get(name, "-"))
    return f"{_value(figures[name])} [{_value(figures[f'{name}_low'])}, {_value(figures[f'{name}_high'])}]"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _value(value: Any) -> str:  # Any: JSON
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):  # a finding: its sentence is what a reader wants
        return _value(value.get("sentence", ", ".join(f"{_words(name)} {_value(one)}" for name, one in value.items())))
    if isinstance(value, list | tuple):
        return ", ".join(_value(item) for item in value)
    return str(value)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_one_line(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _one_line(text: str) -> str:
    return " ".join(text.split())
