"""`holdfast promote`: a challenger as champion, if it passes the gate."""

import click

from holdfast.session import Session, takes

EXAMPLE = """\b
Example:
  holdfast promote challenger
  holdfast promote 5 --json
  holdfast promote 5 --force --reason "new definition of churn, agreed with sales"
  holdfast promote --history"""


@click.command(epilog=EXAMPLE)
@click.argument("version", required=False)
@click.option("--force", is_flag=True, help="Promote it whatever the gate says; needs --reason.")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the version and in the history.")
@click.option("--history", is_flag=True, help="Show who has been champion, since when and why, and change nothing.")
@takes("data", "gate", "compute", "mlflow")
def command(session: Session, *, version: str | None, force: bool, reason: str, history: bool) -> int:
    """Make a version (a number, or challenger) champion, if it passes the gate against the one that serves.

    The verdict is kept with the version either way. A version that the gate refuses is not promoted: exit code 1. One
    that fails its own checks is never promoted, not by force either.
    """
    if history == (version is not None) or (history and force):
        raise click.UsageError("name the VERSION to promote, for example challenger; or ask for --history alone.")
    if force and not reason.strip():
        raise click.UsageError('--force needs --reason "why": it is kept, for those who come after you.')
    with session.progress.stage("Loading the libraries"):
        from holdfast import gate_steps, gate_telling  # noqa: PLC0415 costs seconds, and progress should say so

    if version is None:
        changes = gate_steps.history(session)
        session.emit(gate_telling.history_document(changes), text=gate_telling.history_text(changes))
        return 0
    done = gate_steps.promote(session, version, force=force, reason=reason.strip())
    session.emit(gate_telling.promoted_document(done), text=gate_telling.promoted_text(done))
    return int(done.change is None)
