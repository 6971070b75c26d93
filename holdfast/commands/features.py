"""`holdfast features`: the dictionary of what a model looks at."""

from datetime import datetime

import click

from features.windows import iso
from holdfast.output import table
from holdfast.session import Session, cutoff_option, takes

EXAMPLE = """\b
Example:
  holdfast features
  holdfast features --features my_features.py --json"""


@click.command(epilog=EXAMPLE)
@cutoff_option("Compute the shares as of this moment [default: the newest that the log allows]")
@takes("data", "churn", "features", "compute")
def command(session: Session, *, cutoff: datetime | None) -> None:
    """Show every feature: name, sentence, family, window, and the share of users who have a value.

    The users are those of the population: active in the look-back before the cutoff.
    """
    with session.progress.stage("Loading the libraries"):
        from holdfast import steps  # noqa: PLC0415 costs seconds, and progress should say so

    with session.progress.stage("Computing features") as report:
        dictionary = steps.dictionary(session, cutoff=cutoff, on_progress=report)
    rows = [
        [
            one.name,
            one.sentence,
            one.family,
            "" if one.window_days is None else f"{one.window_days} d",
            f"{one.share:.0%}" if dictionary.users else "",
        ]
        for one in dictionary.lines
    ]
    head = (
        f"{len(rows)} features ({dictionary.fingerprint}) of {dictionary.users:,} users as of {iso(dictionary.cutoff)}"
    )
    session.emit(
        {
            "fingerprint": dictionary.fingerprint,
            "cutoff": dictionary.cutoff,
            "users": dictionary.users,
            "features": [
                {
                    "name": one.name,
                    "sentence": one.sentence,
                    "family": one.family,
                    "window_days": one.window_days,
                    "share_with_value": one.share,
                }
                for one in dictionary.lines
            ],
        },
        text=f"{head}\n\n{table(rows, header=['name', 'sentence', 'family', 'window', 'valued'], right=[3, 4])}",
    )
