"""`holdfast features`: what a model looks at, described, built, compared, and what disturbs it."""

from datetime import datetime
from pathlib import Path

import click
from click.core import ParameterSource

from features.errors import BadInput
from features.windows import parse_span
from holdfast.session import CutoffType, Session, cutoff_option, takes

EXAMPLE = """\b
Example:
  holdfast features
  holdfast features --features my_features.py --json
  holdfast features dictionary --html features.html
  holdfast features build --to snapshots --every 4w --back 12"""
_LOADING = "Loading the libraries"


@click.group(epilog=EXAMPLE, invoke_without_command=True)
@cutoff_option("Compute the shares as of this moment [default: the newest that the log allows]")
@takes("data", "churn", "features", "compute")
def command(session: Session, *, cutoff: datetime | None) -> None:
    """Show every feature: name, sentence, family, window, and the share of users who have a value.

    The users are those of the population: active in the look-back before the cutoff. The commands below do more.
    """
    context = click.get_current_context()
    if context.invoked_subcommand is not None:
        _check_no_options(context)
        return
    _describe(session, cutoff=cutoff, html=None)


@command.command(
    epilog="""\b
Example:
  holdfast features dictionary --html features.html
  holdfast features dictionary --json > features.json"""
)
@cutoff_option("Describe them as of this moment [default: the end of the log]")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write a page that needs no other."
)
@takes("data", "churn", "features", "compute")
def dictionary(session: Session, *, cutoff: datetime | None, html: Path | None) -> None:
    """Describe every feature: sentence, formula, family, missing values, distribution, correlation with recency.

    The page is in English and Chinese and holds no ids.
    """
    _describe(session, cutoff=cutoff, html=html)


@command.command(
    epilog="""\b
Example:
  holdfast features build --to snapshots --cutoff 2026-10-01 --cutoff 2026-11-01
  holdfast features build --to snapshots --every 4w --back 12
  holdfast features build --to snapshots --engine spark"""
)
@click.option("--to", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="Folder to write.")
@click.option(
    "--cutoff",
    "cutoffs",
    type=CutoffType(),
    multiple=True,
    metavar="TIME",
    help="Build as of this moment (again for more) [default: the end of the log]; ISO 8601, UTC if no offset.",
)
@click.option("--every", metavar="SPAN", help="Cutoffs at regular steps, for example 4w, ending at --cutoff.")
@click.option("--back", type=click.IntRange(1, 1000), metavar="NUMBER", help="How many cutoffs --every makes.")
@click.option(
    "--engine",
    type=click.Choice(["local", "spark"]),
    default="local",
    show_default=True,
    help="Where to compute; Spark needs the extra `spark` and starts again after an interruption.",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace features of another request in the folder, once these are there."
)
@click.option("--log-version", type=click.IntRange(0), metavar="NUMBER", help="Read a past version of the log.")
@takes("data", "churn", "features", "compute")
def build(
    session: Session,
    *,
    to: Path,
    cutoffs: tuple[datetime, ...],
    every: str | None,
    back: int | None,
    engine: str,
    overwrite: bool,
    log_version: int | None,
) -> None:
    """Write the features of the population at each cutoff as a folder of Parquet files.

    The folder appears when all is done. After an interruption the same command goes on where it stopped; when the
    log has grown meanwhile, --log-version names the version to go on with.
    """
    if (every is None) != (back is None):
        raise click.UsageError("--every and --back go together, for example --every 4w --back 12.")
    if every is not None and len(cutoffs) > 1:
        raise click.UsageError("--every goes back from one cutoff; give one --cutoff or none.")
    step = parse_span(every) if every is not None else None
    if step is not None and not step:
        raise BadInput(f"--every is {every}; expected a step of at least a day.")
    with session.progress.stage(_LOADING):
        from holdfast import feature_steps, feature_telling  # noqa: PLC0415 costs seconds, and progress should say so

    place = feature_steps.Place(to, engine, overwrite)
    done = feature_steps.build(session, place, cutoffs=cutoffs, every=step, back=back or 1, log_version=log_version)
    session.emit(feature_telling.built_document(done), text=feature_telling.built_text(done))


@command.command(
    epilog="""\b
Example:
  holdfast features diff champion standard
  holdfast features diff 1 2
  holdfast features diff old_features.py my_features.py --json"""
)
@click.argument("before", metavar="BEFORE")
@click.argument("after", metavar="AFTER")
@takes("data", "churn", "features", "compute", "mlflow")
def diff(session: Session, *, before: str, after: str) -> None:
    """Say what changed from one feature set to another: what came, what went, what means something else.

    Each is a Python file, a folder of `holdfast features build`, standard (the catalogue for this log), champion, or
    the number of a registered model; a folder whose name is a number is ./1.
    """
    with session.progress.stage(_LOADING):
        from holdfast import feature_steps  # noqa: PLC0415 as above

    found = feature_steps.compare(session, before, after)
    session.emit(found.to_json(), text=str(found))


@command.command(
    epilog="""\b
Example:
  holdfast features late
  holdfast features late --cutoff 2026-10-01 --json"""
)
@cutoff_option("Compare features as of this moment [default: the end of the log]")
@takes("data", "churn", "features", "compute")
def late(session: Session, *, cutoff: datetime | None) -> None:
    """Say how late events were received, whether that can be believed, and how far it moves features.

    `deviations` is the mean distance in standard deviations of the feature.
    """
    with session.progress.stage(_LOADING):
        from holdfast import feature_steps, feature_telling  # noqa: PLC0415 as above

    found = feature_steps.late(session, cutoff=cutoff)
    session.emit(feature_telling.late_document(found), text=feature_telling.late_text(found))


@command.command(
    epilog="""\b
Example:
  holdfast features bots
  holdfast features bots --limit 500 --ids"""
)
@click.option("--limit", type=click.IntRange(1), metavar="NUMBER", help="Count users with more events on a day, too.")
@click.option("--ids", is_flag=True, help="Name the users beyond the limit, else beyond the lower of those judged.")
@takes("data", "compute")
def bots(session: Session, *, limit: int | None, ids: bool) -> None:
    """Count users whose busiest day is busier than a person's can be: bots, tills, test accounts.

    Judged are 1,000 events a day, and ten times what all but one user in a thousand stay below.
    They are left out of the population when [churn] most_events_a_day says so.
    """
    with session.progress.stage(_LOADING):
        from holdfast import feature_steps, feature_telling  # noqa: PLC0415 as above

    found = feature_steps.rates(session, limit=limit, ids=ids)
    session.emit(feature_telling.rates_document(found), text=feature_telling.rates_text(found))


def _describe(session: Session, *, cutoff: datetime | None, html: Path | None) -> None:
    with session.progress.stage(_LOADING):
        from holdfast import feature_steps, feature_telling  # noqa: PLC0415 as above
        from holdfast.files import replacing  # noqa: PLC0415 as above

    found = feature_steps.dictionary(session, cutoff=cutoff)
    if html is None:
        session.emit(found.to_json(), text=feature_telling.dictionary_text(found))
        return
    from features.dictionary_page import page  # noqa: PLC0415 as above

    with replacing(html) as unfinished:
        unfinished.write_text(page(found), "utf-8")
    session.emit(
        {**found.to_json(), "written": html},
        text=f"Wrote {html}: {len(found.entries)} features of {found.users:,} users. Open it in a browser.",
    )


def _check_no_options(context: click.Context) -> None:
    """An option before the name of a command would be read by nobody."""
    given = [name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        raise click.UsageError(f"options go behind the command: holdfast features {context.invoked_subcommand} …")
