"""Others given the same rows, features and seconds, tested on the same rows with paired intervals.

    python -m benchmarks.quality.peers --data DIR [--only NAME] [--peers NAME …] [--keep FOLDER [--only-kept]]

Logistic regression (the baseline of the product, and one whose penalty is chosen on the newest cutoff), LightGBM at
its defaults and a small LightGBM learn from the rows that our model learns from. FLAML and AutoGluon get the same
rows, both processors, and as many seconds on the clock as ours took of the processors to choose and fit (on a quiet
machine that is up to twice the work; on a busy one as many as ours took on the clock); and an honest validation: they
search on cutoffs whose horizons were over before the newest cutoff known, judge on that one, and are fitted anew on
all rows by what they chose, for which they get the time that it takes. BG/NBD gets all purchases before the test
cutoff; once as it is, once with a logistic curve learnt at the newest cutoff known. FLAML, AutoGluon and lifetimes need
older libraries than ours and run in an environment of their own, made from `outsiders.txt`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning

from benchmarks.environment import CACHE, python_of
from benchmarks.quality.contestants import Contestant, Kept
from benchmarks.quality.levels import level_of
from benchmarks.quality.protocols import PROTOCOLS, Protocol
from benchmarks.quality.run import log_of, step_of
from features.catalog import standard
from features.log import EventLog
from features.user_events import FloatArray
from features.windows import MICROSECONDS_PER_DAY, days, to_microseconds
from models.calibration import fit_calibrator
from training.baselines import Logistic
from training.evidence import Evidence, dates_of, examine_rows, read_rows
from training.fit import TrainSettings
from training.metrics import Estimate, Evaluation, difference, estimate_of, evaluate, log_losses
from training.snapshots import TrainingSet
from training.splits import Cutoffs, Split, before

SETTINGS = TrainSettings(workers=2, threads=2)
BASELINE = "logistic regression"  # the product's own, which comes with our model
PEERS = (BASELINE, "the same, tuned", "LightGBM, defaults", "small GBM", "BG/NBD", "FLAML", "AutoGluon")
AND_A_CURVE = " and a curve"
OUTSIDE = {"FLAML": "flaml", "AutoGluon": "autogluon"}
SMALL: dict[str, Any] = {  # Any: LightGBM's parameters; the baseline of the data's own page
    "objective": "binary", "learning_rate": 0.03, "num_leaves": 15, "min_data_in_leaf": 100, "num_threads": 2,
    "verbosity": -1, "seed": 0, "deterministic": True,
}  # fmt: skip
SMALL_TREES = 200
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # of the tuned regression, the inverse of the penalty


@dataclass(frozen=True, slots=True)
class Beside:
    """Our log loss through theirs on the same draws of users, and the differences."""

    name: str
    log_loss: Estimate
    auc: Estimate
    ratio: Estimate  # ours through theirs: below 1 is better
    auc_gain: Estimate
    wall: float
    processor: float
    note: str

    @property
    def says(self) -> str:
        """What the interval of the ratio allows to say."""
        if self.ratio.high < 1:
            return "better"
        return "worse" if self.ratio.low > 1 else "no difference"


@dataclass(frozen=True, slots=True, eq=False)
class Arena:
    """A protocol's rows, and our own evidence on them."""

    protocol: Protocol
    split: Split
    rows: TrainingSet
    evidence: Evidence
    dates: tuple[str, ...]  # features of the cutoff itself, which run away with a regression
    wall: float  # seconds to choose, fit and calibrate; reading and testing left out
    processor: float

    @property
    def seconds(self) -> float:
        """What automatic searches get on the clock."""
        return max(self.wall, self.processor)

    def of(self, cutoffs: Cutoffs) -> TrainingSet:
        """The rows of some cutoffs."""
        return self.rows.at(cutoffs)


def arena_of(protocol: Protocol, log: EventLog, settings: TrainSettings = SETTINGS) -> Arena:
    """Our own training before the protocol's test cutoffs."""
    summary = log.summary()
    split = before(protocol.definition, protocol.test, start=summary.start, step=step_of(protocol))
    features = standard(summary, activity=protocol.definition.activity)
    rows = read_rows(log, features, split, settings=settings)
    moments: dict[int, tuple[float, float]] = {}

    def on_progress(stage: str, done: int, total: int) -> None:  # noqa: ARG001 - as every listener is called
        moments[done] = (time.perf_counter(), time.process_time())

    evidence = examine_rows(rows, features, split, settings=settings, on_progress=on_progress)
    fitted, begun = moments[3], moments[0]  # the test and the baselines come after
    return Arena(protocol, split, rows, evidence, dates_of(features), fitted[0] - begun[0], fitted[1] - begun[1])


def beside(arena: Arena, others: Iterator[Contestant], *, seed: int = 0, replicates: int = 300) -> Iterator[Beside]:
    """Everybody on the test rows, the same users drawn for all."""
    test = arena.of(arena.split.test)

    def judged(probabilities: FloatArray) -> Evaluation:
        return evaluate(test.labels, probabilities, users=test.users, seed=seed, replicates=replicates)

    ours = judged(arena.evidence.trial.probabilities["model"])
    for other in others:
        theirs = judged(other.probabilities)
        drawn = ours.replicates["log_loss"] / theirs.replicates["log_loss"]
        ratio = estimate_of(ours["log_loss"].value / theirs["log_loss"].value, drawn)
        gain = difference(ours, theirs, metric="auc")
        yield Beside(
            other.name, theirs["log_loss"], theirs["auc"], ratio, gain, other.wall, other.processor, other.note
        )


def insiders(arena: Arena, wanted: tuple[str, ...] = PEERS) -> Iterator[Contestant]:
    """Those that need nothing of their own."""
    from lightgbm import LGBMClassifier

    if BASELINE in wanted:
        yield Contestant(BASELINE, arena.evidence.trial.probabilities["logistic_regression"])
    if "the same, tuned" in wanted:
        yield _tuned(arena)
    fit, test = arena.of(arena.split.fit), arena.of(arena.split.test)
    models = {
        "LightGBM, defaults": LGBMClassifier(n_jobs=2, verbosity=-1),
        "small GBM": LGBMClassifier(n_estimators=SMALL_TREES, **SMALL),
    }
    for name, model in models.items():
        if name in wanted:
            began, worked = time.perf_counter(), time.process_time()
            model.fit(fit.frame, fit.labels)
            said = np.asarray(model.predict_proba(test.frame), dtype=np.float64)[:, 1]
            yield Contestant(name, said, time.perf_counter() - began, time.process_time() - worked)


def _tuned(arena: Arena) -> Contestant:
    """The baseline's regression, its penalty chosen on the newest cutoff, fitted anew on all."""
    from sklearn.linear_model import LogisticRegression

    began, worked, split = time.perf_counter(), time.process_time(), arena.split
    dates = tuple(name for name in arena.rows.snapshots.names if name in arena.dates)
    seen, later, everything, test = (
        arena.of(each) for each in (split.rehearsal, split.calibration, split.fit, split.test)
    )

    def said(rows: TrainingSet, of: TrainingSet, strengths: tuple[float, ...]) -> list[FloatArray]:
        prepared = Logistic().fit(rows.rows_without(dates), rows.labels)
        columns = prepared.pipeline[:-1]
        known, asked = (columns.transform(np.clip(each.rows_without(dates).matrix, *prepared.borders))
                        for each in (rows, of))  # fmt: skip
        models = (LogisticRegression(C=each, max_iter=200, tol=1e-3).fit(known, rows.labels) for each in strengths)
        return [np.asarray(model.predict_proba(asked), dtype=np.float64)[:, 1] for model in models]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the third digit of a coefficient does not matter here
        losses = [float(log_losses(later.labels, each).mean()) for each in said(seen, later, STRENGTHS)]
        best = STRENGTHS[int(np.argmin(losses))]
        (found,) = said(everything, test, (best,))
    note = f"C {best:g}, log loss on validation {min(losses):.4f}"
    return Contestant("the same, tuned", found, time.perf_counter() - began, time.process_time() - worked, note)


def outsiders(
    arena: Arena, log: EventLog, *, python: str, folder: Path, wanted: tuple[str, ...]
) -> Iterator[Contestant]:
    """Those in an environment of their own."""
    if "BG/NBD" in wanted and arena.protocol.definition.activity == ("purchase",) and len(arena.split.test) == 1:
        yield from _bg_nbd(arena, log, python=python, folder=folder)
    automatic = {name: peer for name, peer in OUTSIDE.items() if name in wanted}
    if automatic:
        _write_rows(arena, folder)
        for name, peer in automatic.items():
            said, told = _asked(python, peer, folder, "--seconds", f"{arena.seconds:.0f}")
            best = f"{told['best']}, log loss on validation {told['validation']:.4f}"
            yield Contestant(name, said, told["wall"], told["processor"], best)


def _bg_nbd(arena: Arena, log: EventLog, *, python: str, folder: Path) -> Iterator[Contestant]:
    split = arena.split
    (test,), newest = split.test, split.calibration[-1]
    bought = _purchases(log)
    raw: dict[bool, tuple[FloatArray, TrainingSet, dict[str, Any]]] = {}
    for is_test, cutoff in ((True, test), (False, newest)):
        rows, end = arena.of((cutoff,)), to_microseconds(cutoff) / MICROSECONDS_PER_DAY
        bought[bought["day"] < end].to_parquet(folder / "purchases.parquet")
        pd.DataFrame({"user": rows.users.astype(str)}).to_parquet(folder / "asked.parquet")
        horizon = split.definition.horizon / days(1)
        said, told = _asked(python, "bg_nbd", folder, "--cutoff", f"{end}", "--horizon", f"{horizon}")
        raw[is_test] = (np.clip(said, 1e-6, 1 - 1e-6), rows, told)
    said, _, told = raw[True]
    yield Contestant("BG/NBD", said, told["wall"], told["processor"], f"penalty {told['penalty']:g}")
    before_test, rows, more = raw[False]
    curve = fit_calibrator(_logit(before_test), rows.labels, kind="platt")
    seconds = [told[what] + more[what] for what in ("wall", "processor")]
    yield Contestant(f"BG/NBD{AND_A_CURVE}", curve.probabilities(_logit(said)), *seconds)


def _purchases(log: EventLog) -> pd.DataFrame:
    """The days of every user's purchases, in whole days since 1970 UTC."""
    found = []
    for bucket in range(log.buckets):
        events = log.read_bucket(bucket)
        owners = np.repeat(np.array(events.user_ids, dtype=object), np.diff(events.offsets))
        if "purchase" in events.kind_names:
            bought = events.kinds == events.kind_names.index("purchase")
            found.append(pd.DataFrame({"user": owners[bought], "day": events.times[bought] // MICROSECONDS_PER_DAY}))
    return pd.concat(found, ignore_index=True).drop_duplicates().astype({"user": str, "day": float})


def _write_rows(arena: Arena, folder: Path) -> None:
    """The rows as a peer's process reads them."""
    split = arena.split
    parts = {"validation": split.calibration, "train": split.rehearsal}
    taken = {cutoff for cutoffs in parts.values() for cutoff in cutoffs}
    parts["gap"] = tuple(cutoff for cutoff in split.fit if cutoff not in taken)
    fit = []
    for part, cutoffs in parts.items():
        rows = arena.of(cutoffs)
        fit.append(_coded(rows).assign(_label=rows.labels.astype(int), _part=part))
    pd.concat(fit, ignore_index=True).to_parquet(folder / "fit.parquet")
    _coded(arena.of(split.test)).to_parquet(folder / "test.parquet")


def _coded(rows: TrainingSet) -> pd.DataFrame:
    return rows.frame.astype(dict.fromkeys(rows.categorical, "category")).copy()  # one block again


def _asked(python: str, peer: str, folder: Path, *more: str) -> tuple[FloatArray, dict[str, Any]]:
    script = Path(__file__).with_name("outsider.py")
    command = [python, "-W", "ignore", str(script), peer, "--folder", str(folder), *more]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    said = pd.read_parquet(folder / "said.parquet")["probability"].to_numpy(dtype=np.float64)
    return said, json.loads(finished.stdout.splitlines()[-1])


def _logit(probabilities: FloatArray) -> FloatArray:
    return np.asarray(np.log(probabilities) - np.log1p(-probabilities))


def main() -> None:
    """Every protocol whose data are there, with every peer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with the two event files")
    parser.add_argument("--only", default="", help="only protocols whose name holds this text")
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    parser.add_argument("--keep", type=Path, help="folder of what peers said of these rows, not to be asked again")
    parser.add_argument(
        "--only-kept",
        action="store_true",
        help="ask nobody; what was kept stands for what would be said, even if it was learnt otherwise",
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of the environment for FLAML and the others")
    asked = parser.parse_args()
    wanted = tuple(asked.peers)
    needs = {"BG/NBD", *OUTSIDE} & set(wanted)
    python = python_of(Path(__file__).with_name("outsiders.txt"), cache=asked.cache) if needs else sys.executable
    for protocol in (each for each in PROTOCOLS if asked.only in each.name):
        with tempfile.TemporaryDirectory() as folder:
            try:
                log = log_of(protocol, asked.data, Path(folder))
            except FileNotFoundError as missing:
                print(f"{protocol.name}: left out, {missing.filename} is not there\n")
                continue
            _print(protocol, log, python=python, folder=Path(folder), wanted=wanted, keep=asked.keep,
                   only_kept=asked.only_kept)  # fmt: skip


def _print(
    protocol: Protocol,
    log: EventLog,
    *,
    python: str,
    folder: Path,
    wanted: tuple[str, ...],
    keep: Path | None,
    only_kept: bool,
) -> None:
    arena = arena_of(protocol, log)
    ours = arena.evidence.trial.ours
    print(f"{protocol.name}: {len(arena.of(arena.split.fit)):,} rows and {len(arena.rows.snapshots.names)} features to "
          f"learn from, {len(arena.evidence.trial.labels):,} test rows")  # fmt: skip
    print(f"  {arena.evidence.recipe.says()}; {arena.evidence.calibration}; {arena.evidence.level.says()}")
    print(f"  {'Holdfast':<22}log loss {ours['log_loss'].value:.4f}  AUC {ours['auc'].value:.4f}  "
          f"{arena.wall:4.0f} s, {arena.processor:4.0f} CPU s", flush=True)  # fmt: skip
    level = level_of(log, arena.split, arena.evidence)
    print(
        f"  predicted ÷ observed {level.ratio.says()}, calibration error {level.error.says()}: {level.says}", flush=True
    )
    for told in level.watch:
        print(f"  the watch: {told.says()}")
    kept = Kept.of(
        keep, protocol.name, learnt=arena.of((*arena.split.fit, *arena.split.test)), asked=arena.of(arena.split.test)
    )
    there = [one for one in kept.there(whatever_learnt=only_kept) if one.name.removesuffix(AND_A_CURVE) in wanted]
    answered = {one.name for one in there}
    ask = tuple(name for name in wanted if name == BASELINE or not (only_kept or name in answered))
    asked = outsiders(arena, log, python=python, folder=folder, wanted=ask)
    for contestants in (iter(there), kept.keeping(insiders(arena, ask)), kept.keeping(asked)):
        for one in _going_on(beside(arena, contestants)):
            print(f"  {one.name:<22}log loss {one.log_loss.value:.4f}  AUC {one.auc.value:.4f}  "
                  f"{one.wall:4.0f} s, {one.processor:4.0f} CPU s  ours ÷ theirs {one.ratio.says(digits=4)}, "
                  f"AUC {_signed(one.auc_gain)}: {one.says}  {one.note}".rstrip(), flush=True)  # fmt: skip
    print(flush=True)


def _going_on(found: Iterator[Beside]) -> Iterator[Beside]:
    """All of them, up to one whose process failed, which is said."""
    try:
        yield from found
    except subprocess.CalledProcessError as failure:
        print(f"  left out from here on: {failure.cmd[4]} ended with {failure.returncode}", flush=True)


def _signed(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"


if __name__ == "__main__":
    main()
