"""`holdfast cycle`: the whole round, as one line of a crontab."""

from datetime import datetime
from pathlib import Path

import click

from holdfast.commands.watch import told
from holdfast.session import Session, takes

EXAMPLE = """\b
Example:
  holdfast cycle events/today.parquet
  holdfast cycle --retrain never --to watch
  holdfast cycle new.csv --retrain always"""


@click.command(epilog=EXAMPLE)
@click.argument("files", nargs=-1)
@click.option(
    "--retrain",
    type=click.Choice(["auto", "never", "always"]),
    default="auto",
    show_default=True,
    help="Train a challenger where the watch calls for it, never, or each time.",
)
@told
@takes("data", "ingest", "churn", "features", "score", "compute", "train", "gate", "costs", "store", "mlflow")
def command(
    session: Session,
    *,
    files: tuple[str, ...],
    retrain: str,
    at: datetime | None,
    to: Path | None,
    prometheus: Path | None,
    webhook: str | None,
) -> int:
    """Read FILES if any, score everybody, watch, and train a challenger where that is called for.

    A new model becomes champion only through the gate, and then everybody is scored with it. Where there is no
    champion yet one is trained first. Exit code 1 for an alarm, or when a training that was wanted came to nothing.
    """
    with session.progress.stage("Loading the libraries"):
        from holdfast import watch_steps, watch_telling  # noqa: PLC0415 costs seconds, and progress should say so

    done = watch_steps.cycle(
        session,
        files,
        retrain=watch_steps.Retrain(retrain),
        asked=watch_steps.Asked(at=at, to=to, prometheus=prometheus, webhook=webhook),
    )
    session.emit(watch_telling.cycle_document(done), text=watch_telling.cycle_text(done))
    return watch_telling.cycle_code(done)
