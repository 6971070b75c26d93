"""`holdfast compare`: the gate, held and not acted on."""

import click

from holdfast.session import Session, takes

EXAMPLE = """\b
Example:
  holdfast compare
  holdfast compare 3 5
  holdfast compare champion challenger --capacity 0.05 --json"""


@click.command(epilog=EXAMPLE)
@click.argument("champion", metavar="[A]", default="champion")
@click.argument("challenger", metavar="[B]", default="challenger")
@takes("data", "gate", "compute", "mlflow")
def command(session: Session, *, champion: str, challenger: str) -> int:
    """Hold B against A on the same windows: is it fit to take A's place? Nothing is changed.

    A and B are numbers of versions, or champion (the default of A), challenger (that of B) and previous. Where B would
    not pass the gate the exit code is 1.
    """
    with session.progress.stage("Loading the libraries"):
        from holdfast import gate_steps, gate_telling  # noqa: PLC0415 costs seconds, and progress should say so

    verdict = gate_steps.compare(session, champion, challenger)
    session.emit(verdict.to_json(), text=gate_telling.verdict_text(verdict))
    return int(not verdict.passed)
