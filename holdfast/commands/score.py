"""`holdfast score`: everybody in the population, as one atomic run."""

from datetime import datetime
from pathlib import Path

import click

from holdfast.session import Session, cutoff_option, takes

EXAMPLE = """\b
Example:
  holdfast score
  holdfast score --cutoff 2026-11-01 --to scores.csv
  holdfast score --to scores.parquet --no-run
  holdfast score --engine spark --to scores"""


@click.command(epilog=EXAMPLE)
@cutoff_option("Score as of this moment [default: the end of the log]")
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write a .csv or .parquet file; with --engine spark a folder of Parquet files.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "spark"]),
    default="local",
    show_default=True,
    help="Where to compute; Spark needs the extra `spark`.",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace the folder that Spark wrote before; a file is replaced anyway."
)
@click.option("--run/--no-run", "keep", default=True, help="Serve these scores from now on, or only write the file.")
@takes("data", "score", "compute", "store", "mlflow")
def command(
    session: Session, *, cutoff: datetime | None, to: Path | None, engine: str, overwrite: bool, keep: bool
) -> None:
    """Score everybody in the population with the champion; readers see all of the run or nothing of it.

    The file has user_id, churn_probability, percentile, tier, reasons, cutoff, horizon and model version.
    """
    with session.progress.stage("Loading the libraries"):
        from holdfast import steps, tables, telling  # noqa: PLC0415 costs seconds, and progress should say so

    if to is None and not keep:
        raise click.UsageError("--no-run without --to would leave nothing; name a file.")
    if engine == "spark":
        from features.spark_output import Target  # noqa: PLC0415 as above
        from holdfast import spark_steps  # noqa: PLC0415 an extra

        target = None if to is None else Target(to, overwrite=overwrite)
        done = spark_steps.score(session, cutoff=cutoff, to=target, keep=keep)
    else:
        if to is not None:
            tables.check_name(to)
        done = steps.score(session, cutoff=cutoff, to=to, keep=keep)
    session.emit(telling.scored_document(done), text=telling.scored_text(done))
