"""The model card: one page on what a model is for, how good it is, and what it must not be used for."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from features.feature_set import FeatureSet
from features.windows import iso
from models.definition import ChurnDefinition
from models.model import ChurnModel


def model_card(
    model: ChurnModel,
    features: FeatureSet,
    *,
    definition: ChurnDefinition,
    facts: dict[str, Any],  # Any: JSON
    fifths_as_of: datetime | None = None,
) -> str:
    """Markdown of about a page; whatever `facts` holds is listed, nested groups as sections of their own.

    `fifths_as_of` is the cutoff at which the fifths of the population were taken, where features are relative to it.
    """
    fitted = model.facts_
    groups = {name: value for name, value in facts.items() if isinstance(value, dict)}
    lines = [
        "# Churn model",
        "",
        definition.says() + f" Definition `{definition.id}`.",
        "",
        *(f"- {_words(name)}: {_value(value)}" for name, value in facts.items() if name not in groups),
        f"- fitted on {fitted.rows:,} rows, {fitted.churned_share:.1%} churned",
        f"- {len(fitted.trees)} boosters of {_value(list(fitted.trees))} trees, weight {fitted.booster_weight:g}; "
        f"spline regression {fitted.linear}",
        f"- {len(features.names)} features, fingerprint `{features.fingerprint}`",
        *([] if fifths_as_of is None else [f"- fifths of the population as of {iso(fifths_as_of)}"]),
    ]
    for name, group in groups.items():
        lines += ["", f"## {_words(name).capitalize()}", "", "| what | value |", "|---|---|"]
        lines += [f"| {_words(what)} | {value} |" for what, value in _cells(group)]
    return "\n".join([*lines, "", *_LIMITS, ""])


_LIMITS = (
    "## Limits",
    "",
    "- A reason says what moved the score. It is not a cause, and acting on it need not keep the user.",
    "- The probability holds for users of the population above; others get no score.",
    "- When prices, products or seasons change the past misleads: train again, and watch the calibration.",
    "- Not meant for decisions with legal or similarly serious effect on a person.",
)


def _cells(group: dict[str, Any]) -> Iterator[tuple[str, str]]:  # Any: JSON
    """Each entry of a group as text; `auc`, `auc_low` and `auc_high` stand together as one figure with its interval."""
    for name, value in group.items():
        if f"{name}_low" in group and f"{name}_high" in group:
            yield name, f"{_value(value)} [{_value(group[f'{name}_low'])}, {_value(group[f'{name}_high'])}]"
        elif not name.endswith(("_low", "_high")):
            yield name, _value(value)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _value(value: Any) -> str:  # Any: JSON
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):  # a finding: its sentence is what a reader wants
        return _value(value.get("sentence", ", ".join(f"{_words(name)} {_value(one)}" for name, one in value.items())))
    if isinstance(value, list):
        return ", ".join(_value(item) for item in value)
    return str(value).replace("|", "\\|").replace("\n", " ")
