"""How good the product's own training is on four public logs, beside its baselines and the best figures known.

    python -m benchmarks.quality.run --data DIR

Everything goes the product's way: ingest, standard features, the split before the protocol's test cutoffs, the
recipe chosen on earlier time, calibration, trial. Nothing is tuned on a test row.
"""

import argparse
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from benchmarks.quality.protocols import PROTOCOLS, Protocol
from features.catalog import standard
from features.ingest import ingest
from features.log import EventLog
from features.windows import days, utc
from training.fit import TrainSettings
from training.run import Evidence, examine
from training.splits import SHORT_HORIZON, before
from training.trial import NAMES

NOW = utc("2026-01-01")  # long after every log; only events in the future of it would be refused
_SETTINGS = TrainSettings(workers=2, threads=2)


def main() -> None:
    """Run every protocol whose data are there and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with the two event files")
    data = parser.parse_args().data
    print("AUC and log loss with 95 % intervals clustered by user; in brackets after a name: the best figures known\n")
    for protocol in PROTOCOLS:
        try:
            _print(protocol, *_run(protocol, data))
        except FileNotFoundError as missing:
            print(f"{protocol.name}: left out, {missing.filename} is not there\n")


def _run(protocol: Protocol, data: Path) -> tuple[Evidence, float]:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        log = _log_of(protocol, data, Path(folder))
        summary = log.summary()
        split = before(protocol.definition, protocol.test, start=summary.start, step=_step(protocol))
        features = standard(summary, activity=protocol.definition.activity)
        found = examine(log, features, split, settings=_SETTINGS)
    return found, time.perf_counter() - started


def _log_of(protocol: Protocol, data: Path, folder: Path) -> EventLog:
    protocol.write(data, folder / "events.parquet")
    log = EventLog.create(folder / "log")
    ingest(log, [str(folder / "events.parquet")], mapping=protocol.mapping, quarantine=folder / "refused", now=NOW)
    return log


def _step(protocol: Protocol) -> timedelta:
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
        f"log loss {ours['log_loss'].value - protocol.log_loss:+.4f}\n",
        flush=True,
    )


if __name__ == "__main__":
    main()
