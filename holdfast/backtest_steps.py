"""The steps of `holdfast backtest`: test the recipe at many origins, draw what came out, record it."""

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from features.log import EventLog
from holdfast import output, steps, versions
from holdfast.backtest_telling import report
from holdfast.definitions import check_definition
from holdfast.session import Session
from training.backtest import Backtest, backtest
from training.evidence import OnStage

DOCUMENT, REPORT = "backtest.json", "backtest.txt"
_DPI = 130


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    cutoff: datetime | None = None
    origins: int | None = None
    every: timedelta | None = None
    seconds: float | None = None
    to: Path | None = None
    record: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Backtested:
    """What was found, the files that were written, and the MLflow run (empty: none)."""

    found: Backtest
    files: tuple[Path, ...]
    run_id: str


def run(session: Session, asked: Asked) -> Backtested:
    """Test at all origins; then draw, write and record, so that an interruption leaves nothing half."""
    log = EventLog.open(session.folder.events)
    with session.folder.alone("backtest", now=session.now), tempfile.TemporaryDirectory() as scratch:
        where = steps.registry(session) if asked.record else None  # a wrong address is refused now, not after the work
        found = _tested(session, log, asked)
        with session.progress.stage("Drawing"):
            pages = _draw(found, Path(scratch))
        files = _move(pages, asked.to) if asked.to is not None else ()
        run_id = ""
        if where is not None:
            from training.tracking import record_backtest  # noqa: PLC0415 MLflow, only for who records

            with session.progress.stage("Recording the run in MLflow"):
                run_id = record_backtest(
                    found,
                    where,
                    artifacts=session.artifacts,
                    source=str(session.folder.events),
                    now=session.now,
                    pages=Path(scratch),
                )
    return Backtested(found, files, run_id)


def _tested(session: Session, log: EventLog, asked: Asked) -> Backtest:
    with session.progress.stage("Summing up the log"):
        summary, meant = log.summary(), steps.definition(session)
        check_definition(meant, summary)
        features = steps.feature_set(session, summary)
    known = steps.known(session, log)
    with session.progress.stage("Back-testing") as tell:
        on_progress: OnStage = lambda what, done, total: tell(done, total, what)  # noqa: E731 - one line, typed
        return backtest(
            log,
            meant,
            features,
            code_version=versions.code_version(),
            newest=asked.cutoff,
            every=asked.every,
            most=asked.origins,
            history=summary,
            knowledge=known,
            settings=steps.train_settings(session),
            go_on=None if asked.seconds is None else within(asked.seconds, clock=time.monotonic),
            on_progress=on_progress,
        )


def within(seconds: float, *, clock: Callable[[], float]) -> Callable[[], bool]:
    """A function that says whether another origin fits, if it takes as long as the one before.

    >>> times = iter([0.0, 4.0, 8.0])
    >>> go_on = within(9, clock=lambda: next(times))
    >>> go_on(), go_on()
    (True, False)
    """
    begun = clock()
    asked = [begun]

    def go_on() -> bool:
        now = clock()
        took = now - asked[-1]
        asked.append(now)
        return now + took <= begun + seconds

    return go_on


def _draw(found: Backtest, folder: Path) -> tuple[Path, ...]:
    """Pictures, document and report in a folder of their own."""
    from training.backtest_plots import figures  # noqa: PLC0415 matplotlib costs half a second

    paths = []
    for name, figure in figures(found).items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], format="png", dpi=_DPI)
    for name, text in ((DOCUMENT, output.to_json(found.to_json())), (REPORT, report(found))):
        paths.append(folder / name)
        paths[-1].write_text(f"{text}\n", "utf-8")
    return tuple(paths)


def _move(pages: tuple[Path, ...], folder: Path) -> tuple[Path, ...]:
    """The finished files in the user's folder, each whole; the document last."""
    from holdfast.files import replacing  # noqa: PLC0415 with what writes

    folder.mkdir(parents=True, exist_ok=True)
    for page in pages:
        with replacing(folder / page.name) as unfinished:
            shutil.copyfile(page, unfinished)
    return tuple(folder / page.name for page in pages)
