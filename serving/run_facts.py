"""What a run says of itself: its time, its model, and what `GET /v1/model` tells without loading one."""

from datetime import datetime
from typing import Any

from features.errors import Damaged
from features.fifths import DatedFifths
from models.bundle import Bundle
from models.reasons import Language
from serving.store.records import RunFacts
from serving.validity import valid_until

_DEFINING = ("kind", "activity", "look_back", "lead_time", "horizon")  # what every definition has


def run_facts(
    bundle: Bundle,
    *,
    cutoff: datetime,
    model_version: str,
    fifths: DatedFifths | None = None,
    language: Language = "en",
) -> RunFacts:
    """What all scores of a run at this cutoff share; `fifths` are those of its population."""
    return RunFacts(
        cutoff=cutoff,
        horizon=bundle.definition.horizon_of(cutoff),
        valid_until=valid_until(bundle.definition, cutoff=cutoff),
        model_version=model_version,
        definition_id=bundle.definition.id,
        model=model_facts(bundle),
        fifths=fifths,
        language=language,
    )


def model_facts(bundle: Bundle) -> dict[str, Any]:  # Any: JSON
    """What `GET /v1/model` tells, so that the service needs no model to tell it."""
    definition = bundle.definition.to_json()
    return {
        "trained_at": bundle.facts.get("trained_at"),
        "definition": {
            "id": bundle.definition.id,
            "sentence": bundle.definition.says(),
            **{name: definition[name] for name in _DEFINING},
        },
        "quality": _quality(bundle.facts.get("quality", {})),
        "verdict": bundle.facts.get("verdict"),
        "features": [
            {"name": feature.name, "family": feature.family, "sentence": feature.pattern}
            for feature in bundle.features.features
        ],
        "feature_fingerprint": bundle.features.fingerprint,
    }


def check_fingerprint(bundle: Bundle) -> None:
    """Raise `Damaged` when the bundle's features are not those that its model was trained with."""
    trained_with = bundle.facts.get("feature_fingerprint", bundle.features.fingerprint)
    if trained_with != bundle.features.fingerprint:
        raise Damaged(
            f"the model was trained with the features {trained_with}, its bundle holds {bundle.features.fingerprint}: "
            "they are not the same. Train again with `holdfast train`."
        )


def _quality(found: dict[str, float]) -> list[dict[str, Any]]:  # Any: JSON
    """The metrics of a training with their intervals: `{"auc": …, "auc_low": …, "auc_high": …}` as records."""
    names = [name for name in found if not name.endswith(("_low", "_high"))]
    return [
        {"metric": name, "value": found[name], "low": found.get(f"{name}_low"), "high": found.get(f"{name}_high")}
        for name in names
    ]
