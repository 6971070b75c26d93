"""`holdfast doctor`: what is wrong and what to do."""

import click

from holdfast.output import table
from holdfast.session import Session, takes

EXAMPLE = """\b
Example:
  holdfast doctor
  holdfast doctor --json"""


@click.command(epilog=EXAMPLE)
@takes("data", "store", "mlflow", "serve")
def command(session: Session) -> int:
    """Look at versions, data, model, scores and ports; exit code 1 when something has to be mended."""
    from holdfast import doctor  # noqa: PLC0415 off the command line's start

    with session.progress.stage("Looking around"):
        findings = list(doctor.examine(session))
    wrong = [finding for finding in findings if finding.state == doctor.ERROR]
    lines = table([[one.state, one.check, one.message] for one in findings], header=["", "check", "found"])
    todo = [f"{one.check}: {one.advice}" for one in findings if one.advice]
    last = f"{len(wrong)} to mend." if wrong else "Nothing has to be mended."
    session.emit(
        {
            "findings": [
                {"check": one.check, "state": one.state, "message": one.message, "advice": one.advice}
                for one in findings
            ],
            "errors": len(wrong),
        },
        text="\n".join([lines, "", *todo, *([""] if todo else []), last]),
    )
    return 1 if wrong else 0
