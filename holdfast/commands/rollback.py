"""`holdfast rollback`: the champion before, and its scores, in seconds."""

import click

from holdfast.session import Session, takes

EXAMPLE = """\b
Example:
  holdfast rollback --reason "complaints about the list of Tuesday"
  holdfast rollback --to 3 --reason "the last one that marketing trusted"
  holdfast rollback --reason "numbers look wrong" --no-score --json"""


@click.command(epilog=EXAMPLE)
@click.option("--to", metavar="VERSION", help="A former champion [default: the one before].")
@click.option("--reason", default="", metavar="TEXT", help="Why; needed, and kept in the history.")
@click.option(
    "--score/--no-score",
    default=True,
    show_default=True,
    help="Score everybody with it if none of its runs of scores is kept.",
)
@takes("data", "score", "compute", "store", "mlflow")
def command(session: Session, *, to: str | None, reason: str, score: bool) -> int:
    """Bring the champion before back: the model, and the newest scores of it that are kept.

    The running API answers from them at once, without a restart, and never from both in one answer. A scoring that is
    under way with the other model will not be shown. If the API's scores could not be changed the exit code is 1.
    """
    if not reason.strip():
        raise click.UsageError('a rollback needs --reason "why": it is kept, for those who come after you.')
    with session.progress.stage("Loading the libraries"):
        from holdfast import gate_steps, gate_telling  # noqa: PLC0415 costs seconds, and progress should say so

    done = gate_steps.rollback(session, to=to, reason=reason.strip(), score=score)
    session.emit(gate_telling.rolled_back_document(done), text=gate_telling.rolled_back_text(done))
    return int(done.served is None and done.scored is None)
