"""Whether correcting probabilities by earlier windows makes later ones better: rules of choice at many earlier cutoffs.

    python -m benchmarks.quality.calibrations --data DIR [--only NAME]

At each cutoff, from the newest back half a horizon at a time, a model is fitted on what was closed by then and
corrected by what models of the same recipe had said of the one or two windows before, as a training does it. Then it is
tested. The models are small, so that there can be many; what is compared is what becomes of their margins.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from benchmarks.quality.protocols import PROTOCOLS
from benchmarks.quality.run import read, step_of
from models.calibration import KINDS, Calibrator, Platt, choose_calibrator, fit_calibrator, log_losses
from models.definition import ChurnDefinition
from training.evidence import dates_of
from training.fit import Recipe, Rehearsed, TrainSettings, choose_calibration, fit_model
from training.metrics import calibration_curve
from training.snapshots import TrainingSet

MOST_CUTOFFS, MOST_ROWS, FEWEST = 10, 8_000, 20  # of a log; learnt from; of either outcome in a test
RECIPE = Recipe(100, 1.0)
SETTINGS = TrainSettings(boosters=1, learning_rate=0.05, leaves=6)

Rule = Callable[[Sequence[Rehearsed]], tuple[str, Calibrator]]


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What was said of the windows before, oldest first, and of the tested one."""

    windows: tuple[Rehearsed, ...]
    test: Rehearsed


def main() -> None:
    """Print, for each rule, the means over all cutoffs of each log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with the two event files")
    parser.add_argument("--only", default="", help="only protocols whose name holds this text")
    asked = parser.parse_args()
    found: dict[str, list[Origin]] = {}
    for protocol in (each for each in PROTOCOLS if asked.only in each.name):
        features, split, rows = read(protocol, asked.data)
        every = max(1, round(protocol.definition.horizon / 2 / step_of(protocol)))
        tests = sorted({*split.test, *[cutoff for cutoff in split.all if cutoff < split.test[0]][::-every]})
        dates = dates_of(features)
        origins = [_origin(rows, split.definition, split.all, test, dates=dates) for test in tests[::-1]]
        found[protocol.name] = [origin for origin in origins if origin][:MOST_CUTOFFS]
        print(f"{protocol.name}: {len(found[protocol.name])} cutoffs", flush=True)
    _print(found)


def _origin(
    rows: TrainingSet,
    definition: ChurnDefinition,
    cutoffs: Sequence[datetime],
    test: datetime,
    *,
    dates: tuple[str, ...],
) -> Origin | None:
    """The cutoff tested by a model of everything closed then; none where there is no window before, or no outcome."""

    def said(of: datetime) -> Rehearsed | None:
        known = rows.at([cutoff for cutoff in cutoffs if definition.horizon_of(cutoff).end <= of])
        if not len(known) or known.labels.min() == known.labels.max():
            return None
        every = -(-len(known) // MOST_ROWS)
        thinned = known.where(np.arange(len(known)) % every == 0)
        return Rehearsed.by(fit_model(thinned, RECIPE, settings=SETTINGS, dates=dates), rows.at([of]))

    places, before = [test], test
    while len(places) <= 2 and (closed := [c for c in cutoffs if definition.horizon_of(c).end <= before]):
        before = closed[-1]
        places.append(before)
    heard = [rehearsed for place in places[::-1] if (rehearsed := said(place)) is not None]
    if len(heard) < 2 or min(heard[-1].labels.sum(), (1 - heard[-1].labels).sum()) < FEWEST:
        return None
    return Origin(tuple(heard[:-1]), heard[-1])


def _always(kind: str, part: float = 1.0) -> Rule:
    def rule(windows: Sequence[Rehearsed]) -> tuple[str, Calibrator]:
        fitted = _fitted(windows, kind=kind)
        return kind, replace(fitted, intercept=part * fitted.intercept) if isinstance(fitted, Platt) else fitted

    return rule


def _by_folds(windows: Sequence[Rehearsed]) -> tuple[str, Calibrator]:
    choice = choose_calibrator(*_pooled(windows), order=_order(windows))
    return choice.kind, choice.calibrator


def _as_trained(windows: Sequence[Rehearsed]) -> tuple[str, Calibrator]:
    kind = choose_calibration(windows, settings=SETTINGS)
    return kind, _fitted(windows, kind=kind)


def _fitted(windows: Sequence[Rehearsed], *, kind: str) -> Calibrator:
    return fit_calibrator(*_pooled(windows), kind=kind, order=_order(windows))


def _order(windows: Sequence[Rehearsed]) -> np.ndarray:
    return np.repeat(np.arange(len(windows)), [len(window.labels) for window in windows])


def _pooled(windows: Sequence[Rehearsed]) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.concatenate([getattr(window, name) for window in windows]) for name in ("margins", "labels"))


RULES: dict[str, Rule] = {
    **{f"always {kind}": _always(kind) for kind in KINDS},
    "always half a shift": _always("shift", 0.5),
    "chosen, one window by folds": _by_folds,
    "chosen, as a training does": _as_trained,
}


def _print(found: dict[str, list[Origin]]) -> None:
    for name, rule in RULES.items():
        kinds: Counter[str] = Counter()
        figures: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
        for log, origins in found.items():
            for origin in origins:
                kind, calibrator = rule(origin.windows)
                kinds[kind] += 1
                figures[log].append(_figures(calibrator.probabilities(origin.test.margins), origin.test.labels))
        means = {log: np.mean(rows, axis=0) for log, rows in figures.items()}
        means["all"] = np.mean([row for rows in figures.values() for row in rows], axis=0)
        told = "  ".join(f"{log.split()[0]} {m[0]:.4f} {m[1]:.4f} {m[2]:.3f}" for log, m in means.items())
        print(f"{name:<28} {told}  {dict(kinds) if name.startswith('chosen') else ''}", flush=True)


def _figures(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """Log loss, calibration error, and how far the level is off: the absolute logarithm of predicted over observed."""
    bins = calibration_curve(labels, probabilities)
    error = sum(each.rows * abs(each.predicted - each.observed) for each in bins) / len(labels)
    level = abs(np.log(probabilities.sum() / labels.sum()))
    return float(log_losses(probabilities, labels).mean()), float(error), float(level)


if __name__ == "__main__":
    main()
