"""What a training costs: by stage in the product's own command, and beside a bare `lightgbm.train` on the same matrix.

    python -m benchmarks.training [--rows 1000000] [--bare-rows 100000 1000000] [--folder DIR]

A log is generated, ingested and trained on by `holdfast train` in a process of its own, with the standard features and
default settings but for the number of rows. The process says at every stage how many seconds it took, how much work of
the processors, and the most memory it held meanwhile. Then the fit alone: the boosters of our model, and the whole of
it, beside LightGBM given the same matrix, labels, parameters and number of seeds.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_OF_STAGE = {  # what the progress of learning says at its start
    "reading history 0": "reading, features and labels",
    "fitting 0": "choosing trees and blend",
    "fitting 1": "rehearsal, choosing the calibration",
    "fitting 2": "tested model, level",
    "fitting 3": "baselines and test",
    "fitting 4": "deployed model, leakage checks, stability",
    "fitting 5": "the rest of learning",
}
EVENTS_A_USER, ROWS_A_USER = 60, 17  # of the generated log, so that rows asked for are there
FINE = (None, 0, 1)  # 1: trained, and the verdict is "do not deploy"
SETTINGS = """
[data]
dir = "data"
[churn]
look_back = "91d"
horizon = "28d"
[compute]
threads = {threads}
[train]
max_rows = {rows}
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """The beginning of a stage."""

    name: str
    wall: float  # seconds
    processor: float
    peak: float  # gigabytes held at most since the mark before


class Marks:
    """Takes down when stages begin, in the process that is measured."""

    def __init__(self) -> None:
        self.found: list[Mark] = []

    def begin(self, name: str) -> None:
        """A stage begins, and the one before is over."""
        self.found.append(Mark(name, time.perf_counter(), _processor(), _peak_since_reset()))
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew

    def stages(self) -> list[dict[str, Any]]:  # Any: JSON
        """What each stage took; the last mark only ends the one before."""
        return [
            {"name": one.name, "wall": two.wall - one.wall, "processor": two.processor - one.processor,
             "peak": two.peak}
            for one, two in zip(self.found, self.found[1:], strict=False)
        ]  # fmt: skip


def inside(folder: Path) -> None:
    """Run `holdfast train` in a folder and print its stages as JSON."""
    marks = Marks()
    marks.begin("starting")
    from holdfast.__main__ import main as holdfast
    from holdfast.progress import Progress, Report

    usual = Progress.stage

    @contextlib.contextmanager
    def watched(self: Progress, name: str) -> Iterator[Report]:
        marks.begin(name)
        with usual(self, name) as report:

            def told(done: int, total: int, what: str = "") -> None:
                stage = f"{what} {done}"
                if what == "reading history" and marks.found[-1].name != START_OF_STAGE["reading history 0"]:
                    stage = "reading history 0"
                if stage in START_OF_STAGE:
                    marks.begin(START_OF_STAGE[stage])
                report(done, total, what)

            yield told

    Progress.stage = watched  # type: ignore[method-assign] # the measured process listens to its own progress
    os.chdir(folder)
    sys.argv = ["holdfast", "train", "--json"]
    with (folder / "trained.json").open("w") as out, contextlib.redirect_stdout(out):
        try:
            holdfast()
        except SystemExit as end:
            if end.code not in FINE:
                raise
    marks.begin("end")
    print(json.dumps(marks.stages()))


def bare(folder: Path, rows: int) -> None:
    """Fit our model and a bare LightGBM on the same matrix and print what each took as JSON."""
    import lightgbm

    from features.catalog import standard
    from features.log import EventLog
    from features.windows import days
    from models.definition import ChurnDefinition
    from models.model import ChurnModel
    from training.evidence import dates_of, plan_for
    from training.fit import TrainSettings, taught
    from training.snapshots import labelled

    settings = TrainSettings(workers=2, threads=2, max_rows=rows)
    log, definition = EventLog.open(folder / "data" / "events"), ChurnDefinition(look_back=days(91), horizon=days(28))
    summary = log.summary()
    features = standard(summary)
    split = plan_for(summary, definition, cutoff=None, settings=settings)
    end = split.closes(split.test)
    fit = labelled(log, features, definition, split.fit, log_end=end, max_rows=rows, workers=2).at(split.fit)
    matrix, labels = fit.snapshots.matrix, fit.labels
    model = ChurnModel(booster_only=dates_of(features), n_threads=2)
    parameters = model._booster_parameters(len(matrix)) | {"num_threads": 2}  # the same settings
    found: dict[str, Any] = {"rows": len(matrix), "columns": matrix.shape[1]}

    def bare_boosters() -> None:
        for seed in range(model.n_seeds):
            own = parameters | {"bagging_seed": seed, "feature_fraction_seed": seed}
            lightgbm.train(own, lightgbm.Dataset(matrix, labels, params=own), model.n_estimators)

    alone = ChurnModel(booster_weight=1.0, booster_only=dates_of(features), n_threads=2)
    for name, work in (
        ("bare", bare_boosters),
        ("boosters", lambda: taught(alone, fit)),
        ("blend", lambda: taught(model, fit)),
        ("regression", lambda: taught(ChurnModel(booster_weight=0.0, booster_only=dates_of(features)), fit)),
    ):
        began, worked = time.perf_counter(), _processor()
        work()
        found[name] = {"wall": time.perf_counter() - began, "processor": _processor() - worked}
    print(json.dumps(found))


def prepare(folder: Path, *, rows: int, threads: int = 2) -> None:
    """A log on which about so many rows can be learnt from, ingested, and the settings of a training."""
    from benchmarks.features.generate import Shape, write_events
    from features.ingest import ingest
    from features.log import EventLog
    from features.sources.mapping import Mapping
    from features.windows import utc

    users = max(400, rows // ROWS_A_USER)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    write_events(folder / "events.parquet", Shape(EVENTS_A_USER * users, users, kinds=3))
    log = EventLog.create(folder / "data" / "events")
    ingest(log, [str(folder / "events.parquet")], mapping=Mapping(time="time"), quarantine=folder / "refused",
           now=utc("2026-06-01"))  # fmt: skip
    (folder / "holdfast.toml").write_text(SETTINGS.format(rows=rows, threads=threads))


def main() -> None:
    """Prepare, train, and print both tables; with `--inside` or `--bare`, be the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--bare-rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="keep the log and the models there; used again when it is there")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        inside(asked.inside)
    elif asked.bare:
        bare(asked.bare, asked.rows)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            _measure((asked.folder or Path(temporary)).resolve(), rows=asked.rows, bare_rows=asked.bare_rows)


def _measure(folder: Path, *, rows: int, bare_rows: list[int]) -> None:
    if not (folder / "holdfast.toml").exists():
        prepare(folder, rows=rows)
    stages = _answer("--inside", str(folder))
    print_stages(stages, json.loads((folder / "trained.json").read_text("utf-8")))
    for count in bare_rows:
        print_bare(_answer("--bare", str(folder), "--rows", str(count)))


def print_stages(stages: list[dict[str, Any]], trained: dict[str, Any]) -> None:
    """A line a stage, and the whole."""
    facts = trained.get("rows", {})
    print(f"{facts}\n{'stage':<58}{'wall s':>9}{'CPU s':>9}{'peak GB':>9}")
    for one in stages:
        print(f"{one['name']:<58}{one['wall']:>9.1f}{one['processor']:>9.1f}{one['peak']:>9.2f}")
    wall, processor = (sum(one[what] for one in stages) for what in ("wall", "processor"))
    print(f"{'holdfast train':<58}{wall:>9.1f}{processor:>9.1f}{max(one['peak'] for one in stages):>9.2f}", flush=True)


def print_bare(found: dict[str, Any]) -> None:
    """What the fit took, through what LightGBM took."""
    names = {
        "bare": "lightgbm.train, twice, both threads",
        "boosters": "our boosters alone",
        "regression": "our regression alone",
        "blend": "our model, both",
    }
    head = f"{found['rows']:,} rows, {found['columns']} columns"
    print(f"\n{head:<50}{'wall s':>9}{'CPU s':>9}{'wall x':>9}{'CPU x':>9}")
    for key, name in names.items():
        ratios = [found[key][what] / found["bare"][what] for what in ("wall", "processor")]
        print(f"{name:<50}{found[key]['wall']:>9.1f}{found[key]['processor']:>9.1f}{ratios[0]:>9.2f}{ratios[1]:>9.2f}")
    sys.stdout.flush()


def _answer(*arguments: str) -> Any:  # Any: JSON
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.training", *arguments]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(finished.stdout.splitlines()[-1])


def _processor() -> float:
    """Processor seconds so far, children that have ended included."""
    each = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(found.ru_utime + found.ru_stime for found in each)


def _peak_since_reset() -> float:
    """The most resident memory since the last reset, in gigabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024**2


if __name__ == "__main__":
    main()
