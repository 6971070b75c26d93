"""`holdfast at-risk`: the users most at risk, for people and systems that act on it."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from features.errors import BadInput
from features.windows import iso
from holdfast.output import sentences, table
from holdfast.session import Session, takes

if TYPE_CHECKING:
    from serving.store import Run, StoredScore

EXAMPLE = """\b
Example:
  holdfast at-risk --top 20
  holdfast at-risk --top 200 --tier high --to list.csv
  holdfast at-risk --top 50 --minimum 0.5 --json"""


@click.command(epilog=EXAMPLE)
@click.option(
    "--top", type=click.IntRange(min=1), default=20, show_default=True, metavar="NUMBER", help="How many users."
)
@click.option("--tier", type=click.Choice(["high", "medium", "low"]), help="Only users of this tier.")
@click.option(
    "--minimum",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="PROBABILITY",
    help="Only users at least so likely to leave.",
)
@click.option("--to", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write a CSV file instead.")
@takes("data", "store")
def command(session: Session, *, top: int, tier: str | None, minimum: float, to: Path | None) -> None:
    """List the users most at risk in the current run of scores, with reasons in words.

    In a CSV file a text that a spreadsheet would run as a formula has an apostrophe before it.
    """
    from holdfast.files import replacing  # noqa: PLC0415 off the command line's start
    from holdfast.lists import most_at_risk  # noqa: PLC0415 as above
    from holdfast.scores import open_store  # noqa: PLC0415 as above
    from serving.lists import csv_lines, list_row  # noqa: PLC0415 as above

    _check(minimum, to)
    with open_store(session) as store:
        run, listed = most_at_risk(store, top=top, tier=tier, minimum=minimum)
    if to is None:
        session.emit(_document(run, listed), text=_text(run, listed))
        return
    with replacing(to) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as out:
        out.writelines(csv_lines(list_row(score) for score in listed))
    session.emit({"written": to, "users": len(listed)}, text=f"Wrote {len(listed):,} users to {to}.")


def _check(minimum: float, to: Path | None) -> None:
    if math.isnan(minimum):
        raise BadInput("--minimum is nan; expected a probability from 0 to 1.")
    if to is not None and to.suffix != ".csv":
        raise BadInput(f"{to}: expected a name that ends in .csv; `holdfast score --to` also writes .parquet.")


def _document(run: "Run", listed: list["StoredScore"]) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "cutoff": run.facts.cutoff,
        "horizon": {"start": run.facts.horizon.start, "end": run.facts.horizon.end},
        "model_version": run.facts.model_version,
        "definition_id": run.facts.definition_id,
        "valid_until": run.facts.valid_until,
        "users": [
            {
                "user_id": score.user_id,
                "churn_probability": score.churn_probability,
                "percentile": score.percentile,
                "risk_tier": score.risk_tier,
                "reasons": json.loads(score.reasons_in()),
            }
            for score in listed
        ],
    }


def _text(run: "Run", listed: list["StoredScore"]) -> str:
    rows = [
        [score.user_id, f"{score.churn_probability:.1%}", score.risk_tier, sentences(score.reasons_in())]
        for score in listed
    ]
    start, end = (iso(moment)[:10] for moment in (run.facts.horizon.start, run.facts.horizon.end))
    head = f"As of {iso(run.facts.cutoff)}, churn from {start} to {end}:"
    if not rows:
        return f"{head}\nNobody is so much at risk."
    return f"{head}\n\n{table(rows, header=['user', 'risk', 'tier', 'reasons'], right=[1])}"
