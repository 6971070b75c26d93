"""The model card: one page on what a model is for, how good it is, and what it must not be used for."""

from typing import Any

from features.language import FeatureSet
from models.definition import ChurnDefinition
from models.model import ChurnModel


def model_card(
    model: ChurnModel,
    features: FeatureSet,
    *,
    definition: ChurnDefinition,
    facts: dict[str, Any],  # Any: JSON
) -> str:
    """Markdown of about a page; whatever `facts` holds is listed, nested groups as sections of their own."""
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
        f"- calibration: {model.blend_.calibrator.kind}",
        f"- {len(features.names)} features, fingerprint `{features.fingerprint}`",
    ]
    for name, group in groups.items():
        lines += ["", f"## {_words(name).capitalize()}", "", "| what | value |", "|---|---|"]
        lines += [f"| {_words(what)} | {_value(value)} |" for what, value in group.items()]
    return "\n".join([*lines, "", *_LIMITS, ""])


_LIMITS = (
    "## Limits",
    "",
    "- A reason says what moved the score. It is not a cause, and acting on it need not keep the user.",
    "- The probability holds for users of the population above; others get no score.",
    "- When prices, products or seasons change the past misleads: train again, and watch the calibration.",
    "- Not meant for decisions with legal or similarly serious effect on a person.",
)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _value(value: Any) -> str:  # Any: JSON
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(_value(item) for item in value)
    return str(value).replace("|", "\\|").replace("\n", " ")
