"""The figures of a training as tables with one value a cell: what a data scientist reads back and compares."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from training.explained import Explained
from training.metrics import Estimate, calibration_curve
from training.run import Training
from training.trial import OURS, Trial

Columns: TypeAlias = dict[str, list[Any]]  # Any: numbers and texts
Row: TypeAlias = dict[str, Any]  # Any: as above


def tables_of(training: Training) -> dict[str, Columns]:
    """Every table by name, as columns; those that would be empty are left out."""
    found = {
        "metrics": list(_metrics(training.trial)),
        "gains": list(_gains(training.trial)),
        "calibration": list(_calibration(training.trial)),
        "steps": [{"step": name, **facts.known()} for name, facts in training.steps.items()],
        "importance": [{"family": name, "log_odds": size} for name, size in training.importance.items()],
        "leakage": [
            {"check": check.name, "looked_at": check.looked_at, "found": "; ".join(one.sentence for one in check.found)}
            for check in training.leaks.checks
        ],
    }
    if training.readiness is not None:
        found["readiness"] = [
            {"level": str(one.level), "code": one.code, "found": one.found, "advice": one.advice}
            for one in training.readiness.remarks
        ]
    if training.explained is not None:
        found |= _explained(training.explained)
    return {name: _columns(rows) for name, rows in found.items() if rows}


def _metrics(trial: Trial) -> Iterator[Row]:
    for model, evaluation in trial.evaluations.items():
        for metric, estimate in evaluation.estimates.items():
            if not estimate.missing_because:
                yield {"model": model, "metric": metric, **_ends(estimate)}


def _gains(trial: Trial) -> Iterator[Row]:
    for baseline in trial.evaluations:
        if baseline != OURS:
            for metric in trial.ours.estimates:
                gain = trial.gain(baseline, metric=metric)
                if not gain.missing_because:
                    yield {"model_minus": baseline, "metric": metric, **_ends(gain)}


def _calibration(trial: Trial) -> Iterator[Row]:
    for model, probabilities in trial.probabilities.items():
        for place, part in enumerate(calibration_curve(trial.labels, probabilities)):
            yield {
                "model": model,
                "tenth": place + 1,
                "rows": part.rows,
                "predicted": part.predicted,
                "observed": part.observed,
            }


def _explained(explained: Explained) -> dict[str, list[Row]]:
    return {
        "features": [{"feature": name, "log_odds": size} for name, size in explained.importance.features.items()],
        "left_out": [one.to_json() for one in explained.left_out],
        "dependence": [
            {"feature": one.feature.name, **point} for one in explained.dependence for point in one.to_json()["points"]
        ],
        "segments": [
            {"segment": one.name, "rows": one.rows, "users": one.users, "metric": metric, **_ends(estimate)}
            for one in explained.segments
            if one.trial is not None
            for metric, estimate in one.trial.ours.estimates.items()
            if not estimate.missing_because
        ],
    }


def _columns(rows: Sequence[Row]) -> Columns:
    """The rows as columns; what a row does not have is null."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}


def _ends(estimate: Estimate) -> Row:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
