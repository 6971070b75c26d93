"""`holdfast serve`: the API over the current run of scores."""

import click

from holdfast.output import say
from holdfast.session import Session, takes

EXAMPLE = """\b
Example:
  holdfast serve
  holdfast serve --host 0.0.0.0 --port 8080 --workers 2"""


@click.command(epilog=EXAMPLE)
@takes("data", "serve", "score", "store")
def command(session: Session) -> None:
    """Serve scores over HTTP until interrupted; requests under way are finished first.

    The API describes itself at /docs. Clients send a key of `holdfast keys create`.
    With --json the address is printed as a document before the first request.
    """
    from holdfast.service import service_settings  # noqa: PLC0415 the server, only for who serves
    from serving.run import checked, serve  # noqa: PLC0415 as above

    settings = checked(service_settings(session))
    address = f"http://{settings.host}:{settings.port}"
    if session.as_json:
        session.emit({"address": address, "docs": f"{address}/docs"}, text="")
    else:
        say(f"Serving {address} (its description: {address}/docs); stop with Ctrl-C.")
    serve(settings)
