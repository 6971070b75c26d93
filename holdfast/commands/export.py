"""`holdfast export`: a whole score run, for systems that take files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from features.errors import BadInput, NotReady
from holdfast.session import Session, takes

if TYPE_CHECKING:
    from serving.store import Run, ScoreStore
    from serving.store.records import Language

_BY_ENDING = {".csv": "csv", ".parquet": "parquet"}
EXAMPLE = """\b
Example:
  holdfast export scores.csv
  holdfast export scores.parquet --run 17 --language zh
  holdfast export scores-table --format delta --overwrite"""


@click.command(epilog=EXAMPLE)
@click.argument("to", type=click.Path(path_type=Path), metavar="FILE_OR_FOLDER")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["csv", "parquet", "delta"]),
    help="What to write [default: as the name ends; a name without an ending is a Delta table].",
)
@click.option("--run", "run_id", type=click.IntRange(min=1), metavar="NUMBER", help="Which run [default: the current].")
@click.option("--language", type=click.Choice(["en", "zh"]), help="Of reasons and changes [default: the run's].")
@click.option("--overwrite", is_flag=True, help="Replace a Delta table of Holdfast's; a file is replaced anyway.")
@takes("data", "store")
def command(
    session: Session, *, to: Path, format_: str | None, run_id: int | None, language: "Language | None", overwrite: bool
) -> None:
    """Write a score run with all that is told of each user: whole or not at all, in little memory.

    In CSV reasons and changes are sentences, and a text that a spreadsheet would run as a formula has an apostrophe
    before it. In Parquet and Delta they are lists with codes and contributions.
    """
    from features.spark_output import Target  # noqa: PLC0415 off the command line's start
    from holdfast.files import replacing  # noqa: PLC0415 as above
    from holdfast.scores import open_store  # noqa: PLC0415 as above
    from serving import exports  # noqa: PLC0415 as above

    chosen = format_ or _format_of(to)
    with open_store(session) as store:
        run = _run(store, run_id)
        if chosen == "delta":
            target = Target(to, "delta", overwrite)
            users = exports.write_delta(store.database, run, language=language, target=target)
        else:
            write = exports.write_csv if chosen == "csv" else exports.write_parquet
            with replacing(to) as unfinished:
                users = write(store.database, run, language=language, to=unfinished)
    document = {"written": to, "format": chosen, "run_id": run.run_id, "users": users}
    session.emit(document, text=f"Wrote {users:,} users of run {run.run_id} to {to}.")


def _format_of(to: Path) -> str:
    if not to.suffix:
        return "delta"
    if to.suffix not in _BY_ENDING:
        raise BadInput(f"{to}: expected a name that ends in .csv or .parquet, or --format.")
    return _BY_ENDING[to.suffix]


def _run(store: "ScoreStore", run_id: int | None) -> "Run":
    run = store.current_run() if run_id is None else store.run(run_id)
    if run is not None:
        return run
    if run_id is None:
        raise NotReady("there are no scores yet; run `holdfast score` first.")
    kept = ", ".join(str(each.run_id) for each in store.runs()) or "none"
    raise BadInput(f"there is no run {run_id}; kept are: {kept}.")
