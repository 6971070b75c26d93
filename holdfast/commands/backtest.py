"""`holdfast backtest`: what the training would have been worth at every earlier cutoff."""

from datetime import datetime
from pathlib import Path

import click

from features.windows import parse_span
from holdfast.session import Session, cutoff_option, takes

EXAMPLE = """\b
Example:
  holdfast backtest
  holdfast backtest --origins 6 --to backtest
  holdfast backtest --every 30d --seconds 600 --json"""


@click.command(epilog=EXAMPLE)
@cutoff_option("Newest cutoff to test on [default: the newest whose horizon is over]")
@click.option("--origins", type=click.IntRange(min=1), metavar="NUMBER", help="Test at most so many, the newest.")
@click.option(
    "--every", metavar="SPAN", help="From one origin to the next, for example 30d [default: no horizons overlap]."
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="NUMBER",
    help="Begin no origin that would not be done in time; the newest are tested first.",
)
@click.option(
    "--to", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="Write pictures, JSON and text."
)
@click.option("--record/--no-record", default=True, help="Record it as a run in MLflow, or not [default: record].")
@takes("data", "churn", "features", "compute", "train", "mlflow")
def command(
    session: Session,
    *,
    cutoff: datetime | None,
    origins: int | None,
    every: str | None,
    seconds: float | None,
    to: Path | None,
    record: bool,
) -> int:
    """Train and test at many earlier cutoffs: is the model good at all of them, for whom, and how fast does it age?

    Every origin learns from what had closed before it and is tested on what came after, beside simple rules. The report
    ends in a verdict over all origins. No model is registered. Exit code 1 for "do not deploy".
    """
    with session.progress.stage("Loading the libraries"):
        from holdfast import backtest_steps, backtest_telling  # noqa: PLC0415 costs seconds, and progress should say so

    asked = backtest_steps.Asked(
        cutoff=cutoff,
        origins=origins,
        every=None if every is None else parse_span(every),
        seconds=seconds,
        to=to,
        record=record,
    )
    done = backtest_steps.run(session, asked)
    session.emit(backtest_telling.backtested_document(done), text=backtest_telling.backtested_text(done))
    return backtest_telling.backtested_code(done)
