"""Whether a search for settings is worth its time on public logs: the test log loss with it and without, and how long.

    python -m benchmarks.quality.tuning --data DIR [--only NAME] [--trials 40] [--keep FOLDER]

The logs, definitions and test cutoffs are those of `benchmarks.quality.run`. The best settings of each search are
tested whether or not they were kept, to see whether the rule that keeps them is a good one; nothing is tuned on a row
of the test.
With `--keep` the trials are kept in a folder, and a second run does not search again.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.quality.protocols import PROTOCOLS, Protocol
from benchmarks.quality.run import read
from training.evidence import dates_of, examine_rows
from training.fit import TrainSettings
from training.metrics import difference
from training.search import Keeping
from training.tuned import PRUNED, Tuned
from training.tuning import Identity, tune, with_parameters

_SETTINGS = TrainSettings(workers=2, threads=2)


def main() -> None:
    """Run every protocol whose data are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with the two event files")
    parser.add_argument("--only", default="", help="only protocols whose name holds this text")
    parser.add_argument("--trials", type=int, default=40, help="trials of each search")
    parser.add_argument("--keep", type=Path, default=None, help="folder in which trials are kept")
    asked = parser.parse_args()
    storage = f"sqlite:///{asked.keep / 'tuning.db'}" if asked.keep else ""
    for protocol in (each for each in PROTOCOLS if asked.only in each.name):
        try:
            _run(protocol, asked.data, keeping=Keeping(storage, time.perf_counter), trials=asked.trials)
        except FileNotFoundError as missing:
            print(f"{protocol.name}: left out, {missing.filename} is not there\n")


def _run(protocol: Protocol, data: Path, *, keeping: Keeping, trials: int) -> None:
    features, split, rows = read(protocol, data)
    identity = Identity(0, protocol.definition.id, features.fingerprint, as_known=False)
    settings = replace(_SETTINGS, tune_trials=trials)
    found = tune(rows, split, identity, settings=settings, keeping=keeping, dates=dates_of(features))
    print(f"{protocol.name}: chosen by {', '.join(found.folds)}; confirmed by {found.confirmed_on}")
    _print(found)
    if not found.chosen or found.best is None:
        return
    asked = examine_rows(rows, features, split, settings=_SETTINGS)
    chosen = with_parameters(_SETTINGS, found.best.parameters)
    tuned = examine_rows(rows, features, split, settings=chosen)
    for name, evidence in (("as asked for", asked), ("tuned", tuned)):
        figures = "  ".join(f"{metric} {evidence.trial.ours[metric].says(digits=4)}" for metric in ("log_loss", "auc"))
        level = evidence.trial.ours["predicted_over_observed"].value
        recipe = f"{evidence.recipe.blend}, {evidence.recipe.trees} trees"
        print(f"  test, {name:<13} {figures}  pred./obs. {level:.3f}  ({recipe})")
    for metric in ("log_loss", "auc"):
        gap = difference(tuned.trial.ours, asked.trial.ours, metric=metric)
        print(f"  test, tuned minus as asked for: {metric} {gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]")
    print(flush=True)


def _print(found: Tuned) -> None:
    if found.best is None:
        print(f"  {found.says()}\n")
        return
    pruned = [trial for trial in found.trials if trial.state == PRUNED]
    each = found.seconds / len(found.trials)
    print(f"  {len(found.trials)} trials in {found.seconds:.0f} s, {each:.1f} s each; {len(pruned)} pruned")
    print(
        f"  in the search: as asked for {found.trials[0].log_loss:.4f}, best {found.best.log_loss:.4f} ({found.chosen})"
    )
    print(f"  best: {', '.join(f'{name} {value:.3g}' for name, value in found.best.parameters.items())}")
    print(f"  {found.says()}", flush=True)


if __name__ == "__main__":
    main()
