"""`holdfast compact`: the event log in fewer files, and without those that nobody reads any more."""

import click

from features.errors import BadInput
from features.windows import days, parse_span
from holdfast.session import Session, takes

EXAMPLE = """\b
Example:
  holdfast compact
  holdfast compact --keep 30d"""


@click.command(epilog=EXAMPLE)
@click.option(
    "--keep",
    default="7d",
    show_default=True,
    metavar="SPAN",
    help="Past versions of so long stay readable; 1d at least.",
)
@takes("data")
def command(session: Session, *, keep: str) -> None:
    """Rewrite the event log as one file a bucket, and remove the files that only old versions need.

    Readers go on reading; reading is quicker after many imports. A version that is older than --keep cannot be read
    any more, for example with `holdfast features build --log-version`.
    """
    kept = parse_span(keep)
    if kept < days(1):
        raise BadInput(f"--keep is {keep}; expected at least 1d, so that nobody loses what he is reading.")
    with session.progress.stage("Loading the libraries"):
        from holdfast import log_steps  # noqa: PLC0415 costs seconds, and progress should say so

    done = log_steps.compact(session, keep=kept)
    session.emit(
        {
            "files_before": done.files_before,
            "files": done.files,
            "removed": done.removed,
            "buckets": done.buckets,
            "log_version": done.version,
        },
        text=f"{done.files_before:,} files of the log are {done.files:,} now, in {done.buckets} buckets; "
        f"{done.removed:,} that only versions older than {keep} need were removed. Log version {done.version}.",
    )
