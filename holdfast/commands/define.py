"""`holdfast define`: how many days of silence mean churn, asked of the log."""

from datetime import datetime
from pathlib import Path

import click

from features.windows import parse_span
from holdfast.session import CutoffType, Session, takes

EXAMPLE = """\b
Example:
  holdfast define
  holdfast define --activity purchase --to definition
  holdfast define --candidate 60d/30d --candidate 90d/60d
  holdfast define --write"""


@click.command(epilog=EXAMPLE)
@click.option(
    "--candidate",
    "candidates",
    multiple=True,
    metavar="SPAN/SPAN",
    help="Compare only this look-back and horizon, for example 60d/30d (again for more) [default: usual spans].",
)
@click.option(
    "--gone-after",
    metavar="SPAN",
    help="Who does not act for so long is gone [default: 0.4 of the history, a year at most].",
)
@click.option(
    "--until",
    type=CutoffType(),
    metavar="TIME",
    help="Read nothing from this moment on [default: the end of the log]; ISO 8601, UTC if no offset.",
)
@click.option(
    "--to", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="Write pictures, JSON and text."
)
@click.option("--write", is_flag=True, help="Write the recommended definition into [churn] of holdfast.toml.")
@takes("data", "churn", "compute")
def command(
    session: Session,
    *,
    candidates: tuple[str, ...],
    gone_after: str | None,
    until: datetime | None,
    to: Path | None,
    write: bool,
) -> int:
    """Say how many days of silence mean churn here, from the log alone, and recommend a look-back and a horizon.

    Shows who comes back after how long, what each threshold gets wrong, and what each definition leaves to learn from,
    beside the definition in force. When the log carries no definition, the exit code is 1.
    """
    with session.progress.stage("Loading the libraries"):
        from holdfast import define_steps, define_telling  # noqa: PLC0415 costs seconds, and progress should say so
        from training.define import as_spans  # noqa: PLC0415 as above

    asked = define_steps.Asked(
        spans=[as_spans(text) for text in candidates],
        gone_after=None if gone_after is None else parse_span(gone_after),
        until=until,
        to=to,
        write=write,
    )
    done = define_steps.define(session, asked)
    session.emit(define_telling.defined_document(done), text=define_telling.defined_text(done))
    return define_telling.defined_code(done)
