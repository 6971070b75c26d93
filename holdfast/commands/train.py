"""`holdfast train`: from the event log to a judged model."""

from datetime import datetime
from pathlib import Path

import click

from holdfast.session import Session, cutoff_option, takes

EXAMPLE = """\b
Example:
  holdfast train
  holdfast train --activity purchase --activity return --look-back 60d --lead-time 0d --horizon 30d
  holdfast train --features my_features.py --cutoff 2026-10-01
  holdfast train --drop-families true --report report.html"""


@click.command(epilog=EXAMPLE)
@cutoff_option("Newest cutoff to test on [default: the newest whose horizon is over]")
@click.option(
    "--promote/--no-promote",
    default=None,
    help="Make it champion whatever the verdict, or never [default: if it is the first, or passes the gate].",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where the report is written as a page [default: report.html in the data folder].",
)
@takes("data", "churn", "features", "compute", "train", "gate", "costs", "mlflow")
def command(session: Session, *, cutoff: datetime | None, promote: bool | None, report: Path | None) -> int:
    """Learn a model, test it on later time beside simple rules, and record it in MLflow.

    The report ends in a verdict. Where there is a champion the gate compares the two. A model that is no better than a
    rule, or that the gate refuses, is kept as challenger: exit code 1.
    """
    with session.progress.stage("Loading the libraries"):
        from holdfast import steps, telling  # noqa: PLC0415 costs seconds, and progress should say so

    done = steps.train(session, cutoff=cutoff, promote=promote, report=report)
    session.emit(telling.trained_document(done), text=telling.trained_text(done))
    return telling.trained_code(done)
