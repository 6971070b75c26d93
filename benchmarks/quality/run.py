"""How good the product's own training is on four public logs, beside its baselines and the best figures known.

    python -m benchmarks.quality.run --data DIR [--only NAME] [--seeds 6] [--families]

With `--seeds` everything is learnt once more with each further seed, to tell how much of a figure is its draw. With
`--families` each protocol is learnt again without each family of features in turn (see `families.py`): some five
minutes a protocol.

Everything goes the product's way: ingest, standard features, the split before the protocol's test cutoffs, the
recipe chosen on earlier time, calibration, trial. Nothing is tuned on a test row.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from benchmarks.quality.families import compare
from benchmarks.quality.protocols import PROTOCOLS, Protocol
from features.catalog import standard
from features.feature_set import FeatureSet
from features.ingest import ingest
from features.log import EventLog
from features.windows import days, utc
from training.evidence import Evidence, examine_rows, read_rows
from training.fit import TrainSettings
from training.metrics import Estimate
from training.snapshots import TrainingSet
from training.splits import SHORT_HORIZON, Split, before
from training.trial import NAMES

NOW = utc("2026-01-01")  # long after every log; only events in the future of it would be refused
_SETTINGS = TrainSettings(workers=2, threads=2)


def main() -> None:
    """Run every protocol whose data are there and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with the two event files")
    parser.add_argument("--only", default="", help="only protocols whose name holds this text")
    parser.add_argument("--seeds", type=int, default=1, help="seeds to learn with; tables are of the first")
    parser.add_argument("--families", action="store_true", help="leave out each family of features in turn")
    asked = parser.parse_args()
    if not asked.families:
        print("AUC and log loss with 95 % intervals clustered by user; in brackets: the best figures known\n")
    for protocol in (each for each in PROTOCOLS if asked.only in each.name):
        try:
            if asked.families:
                _compare(protocol, asked.data)
            else:
                _test(protocol, asked.data, seeds=asked.seeds)
        except FileNotFoundError as missing:
            print(f"{protocol.name}: left out, {missing.filename} is not there\n")


def _test(protocol: Protocol, data: Path, *, seeds: int) -> None:
    started = time.perf_counter()
    features, split, rows = read(protocol, data)
    found = examine_rows(rows, features, split, settings=_SETTINGS)
    _print(protocol, found, time.perf_counter() - started)
    others = [examine_rows(rows, features, split, settings=replace(_SETTINGS, seed=seed)) for seed in range(1, seeds)]
    for name, metric in (("log loss", "log_loss"), ("pred./obs.", "predicted_over_observed")) if others else ():
        drawn = [each.trial.ours[metric].value for each in (found, *others)]
        listed = " ".join(f"{value:.4f}" for value in drawn)
        print(f"  {name} with seeds 0 to {len(others)}: {listed}, mean {sum(drawn) / len(drawn):.4f}", flush=True)
    print()


def read(protocol: Protocol, data: Path) -> tuple[FeatureSet, Split, TrainingSet]:
    """The protocol's features, its split and their rows; raises `FileNotFoundError` when its data are not there."""
    with tempfile.TemporaryDirectory() as folder:
        log = log_of(protocol, data, Path(folder))
        summary = log.summary()
        split = before(protocol.definition, protocol.test, start=summary.start, step=step_of(protocol))
        features = standard(summary, activity=protocol.definition.activity)
        return features, split, read_rows(log, features, split, settings=_SETTINGS)


def _compare(protocol: Protocol, data: Path) -> None:
    features, split, rows = read(protocol, data)
    print(f"{protocol.name}: log loss and AUC without a family minus with it, 95 % intervals clustered by user")
    print(f"  {'':<32}{'features':>8}  {'validation':>10}  {'log loss on test':<29}  AUC on test", flush=True)
    for name, found, variant in compare(rows, features, split, settings=_SETTINGS):
        if variant is None:
            ours = found.trial.ours
            print(f"  {name}: log loss {ours['log_loss'].says(digits=4)}, AUC {ours['auc'].says(digits=4)}", flush=True)
            continue
        figures = f"{_signed(variant.log_loss):<29}  {_signed(variant.auc):<29}"
        print(f"  {name:<32}{variant.features:>8}  {variant.validation:>+10.4f}  {figures}  {variant.says}", flush=True)
    print()


def _signed(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"


def log_of(protocol: Protocol, data: Path, folder: Path) -> EventLog:
    """The protocol's events as a log in the folder; raises `FileNotFoundError` when its data are not there."""
    protocol.write(data, folder / "events.parquet")
    log = EventLog.create(folder / "log")
    ingest(log, [str(folder / "events.parquet")], mapping=protocol.mapping, quarantine=folder / "refused", now=NOW)
    return log


def step_of(protocol: Protocol) -> timedelta:
    """The distance between cutoffs."""
    return days(2) if protocol.definition.horizon <= SHORT_HORIZON else days(7)


def _print(protocol: Protocol, found: Evidence, seconds: float) -> None:
    rows = len(found.trial.labels)
    if rows != protocol.rows:
        raise SystemExit(f"{protocol.name}: {rows} test rows, the protocol has {protocol.rows}")
    print(f"{protocol.name} (best known: AUC {protocol.auc:.3f}, log loss {protocol.log_loss:.3f})")
    print(f"  {rows} test rows, {found.trial.labels.mean():.3f} churned; {seconds:.0f} s in all")
    print(f"  {found.recipe.says()}; calibration: {found.calibration}")
    for key, evaluation in found.trial.evaluations.items():
        figures = "  ".join(
            f"{label} {evaluation[metric].says(digits=4)}"
            for label, metric in (("AUC", "auc"), ("log loss", "log_loss"))
        )
        print(f"  {NAMES[key]:<20} {figures}  pred./obs. {evaluation['predicted_over_observed'].value:.3f}")
    ours = found.trial.ours
    print(
        f"  against the best known: AUC {ours['auc'].value - protocol.auc:+.4f}, "
        f"log loss {ours['log_loss'].value - protocol.log_loss:+.4f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
