"""`holdfast check`: is the log fit to learn from?"""

from datetime import datetime

import click

from holdfast.session import Session, cutoff_option, takes

EXAMPLE = """\b
Example:
  holdfast check
  holdfast check --cutoff 2026-10-01 --json"""


@click.command(epilog=EXAMPLE)
@cutoff_option("Newest cutoff to test on [default: the newest whose horizon is over]")
@takes("data", "churn", "features", "compute", "train")
def command(session: Session, *, cutoff: datetime | None) -> int:
    """Say what in the log stands in the way of a model, and whether anything knows the outcome.

    `holdfast train` does the same first and stops at an error. Exit code 1 when something has to be mended.
    """
    with session.progress.stage("Loading the libraries"):
        from holdfast import check_steps, check_telling  # noqa: PLC0415 costs seconds, and progress should say so

    done = check_steps.check(session, cutoff=cutoff)
    session.emit(check_telling.checked_document(done), text=check_telling.checked_text(done))
    return 0 if done.fit else 1
