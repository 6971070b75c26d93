"""`holdfast watch`: once a day, is the model in service still what it was."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from holdfast.session import CutoffType, Session, takes

EXAMPLE = """\b
Example:
  holdfast watch
  holdfast watch --to watch --prometheus /var/lib/node_exporter/holdfast.prom
  holdfast watch --webhook https://chat.example/hook
  holdfast watch --at 2026-11-01 --json"""


def told(function: Callable[..., Any]) -> Callable[..., Any]:  # Any: as click's decorators
    """The options that say as of when to look and where to tell it."""
    for option in (
        click.option("--webhook", metavar="URL", help="Also post the findings there as JSON, alarms or not."),
        click.option(
            "--prometheus",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Also write metrics for Prometheus' textfile collector; the name ends in .prom.",
        ),
        click.option(
            "--to",
            type=click.Path(path_type=Path, file_okay=False),
            metavar="FOLDER",
            help="Write a page, JSON and text.",
        ),
        click.option(
            "--at",
            type=CutoffType(),
            metavar="TIME",
            help="Look as of this moment [default: now]; ISO 8601, UTC if no offset.",
        ),
    ):
        function = option(function)
    return function


@click.command(epilog=EXAMPLE)
@told
@takes("data", "churn", "features", "compute", "train", "store", "mlflow")
def command(
    session: Session, *, at: datetime | None, to: Path | None, prometheus: Path | None, webhook: str | None
) -> int:
    """Say whether the model in service is still what it was: once a day, from cron or any scheduler.

    Looks at what came in, at the outcomes of earlier scores, at how good today's will be, and at what moved. Every
    finding is ok, advice, warning or alarm, with what to do. Exit code 1 for an alarm.
    """
    with session.progress.stage("Loading the libraries"):
        from holdfast import watch_steps, watch_telling  # noqa: PLC0415 costs seconds, and progress should say so

    asked = watch_steps.Asked(at=at, to=to, prometheus=prometheus, webhook=webhook)
    done = watch_steps.watch(session, asked)
    session.emit(watch_telling.watched_document(done), text=watch_telling.watched_text(done))
    return watch_telling.watched_code(done)
