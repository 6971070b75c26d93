"""What the risk by day is worth on public logs: at the horizon beside the classifier, up to it beside Kaplan and Meier.

    python -m benchmarks.quality.risk_curve --data DIR [--only NAME]

The logs, definitions and test cutoffs are those of `benchmarks.quality.run`; nothing is tuned on a test row. The
seconds are of all processors together, beside those of the reading, choosing, fitting and testing that come before.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.quality.protocols import PROTOCOLS, Protocol
from benchmarks.quality.run import log_of, step_of
from features.catalog import standard
from training.evidence import examine_rows, read_rows
from training.fit import TrainSettings
from training.hazard import CurveTrial, learn_curve
from training.metrics import Estimate
from training.splits import before

_SETTINGS = TrainSettings(workers=2, threads=2)


def main() -> None:
    """Run every protocol whose data are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with the two event files")
    parser.add_argument("--only", default="", help="only protocols whose name holds this text")
    asked = parser.parse_args()
    for protocol in (each for each in PROTOCOLS if asked.only in each.name):
        try:
            _run(protocol, asked.data)
        except FileNotFoundError as missing:
            print(f"{protocol.name}: left out, {missing.filename} is not there\n")


def _run(protocol: Protocol, data: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = log_of(protocol, data, Path(folder))
        summary = log.summary()
        split = before(protocol.definition, protocol.test, start=summary.start, step=step_of(protocol))
        features = standard(summary, activity=protocol.definition.activity)
        started = time.process_time()
        rows = read_rows(log, features, split, settings=_SETTINGS)
        evidence = examine_rows(rows, features, split, settings=_SETTINGS)
        trained = time.process_time()
        found = learn_curve(log, rows, split, evidence.model, settings=_SETTINGS)
        print(f"{protocol.name}: intervals end on days {', '.join(map(str, found.model.days))}")
        seconds = time.process_time() - trained
        print(
            f"  {trained - started:.0f} CPU seconds read, chosen, fitted and tested; {seconds:.0f} more for the curve"
        )
        _print(found.trial)


def _print(trial: CurveTrial) -> None:
    beside = f"hazard model {_said(trial.log_loss)}, classifier {_said(trial.log_loss_classifier)}"
    print(f"  {trial.rows} test rows, {trial.trees} trees")
    print(f"  log loss at the horizon: {beside}")
    print(f"    the first minus the second {_signed(trial.log_loss_more)}")
    print(f"  integrated Brier score: curve {_said(trial.brier)}, Kaplan-Meier {_said(trial.brier_kaplan_meier)}")
    print(f"    the first minus the second {_signed(trial.brier_more)}")
    alone = f"hazard model alone {_said(trial.brier_alone)}"
    print(f"    {alone}, the curve minus it {_signed(trial.brier_step)}\n", flush=True)


def _said(estimate: Estimate) -> str:
    return estimate.says(digits=4)


def _signed(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"


if __name__ == "__main__":
    main()
