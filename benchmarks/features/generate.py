"""A generated event log with the skew of real ones: few heavy users, many light ones, a few common kinds, visits.

    python -m benchmarks.features.generate events.parquet --events 50000000 --users 500000 --kinds 40

It is written in pieces, so that memory does not grow with the number of events.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from benchmarks.features.subject import END, START
from features.windows import to_microseconds

# fmt: off
KINDS = (
    "visit", "search", "purchase", "return", "message", "login", "share", "review", "ticket", "coupon", "call",
    "survey", "view", "like", "follow", "comment", "upload", "download", "invite", "join", "leave", "pause", "resume",
    "upgrade", "downgrade", "refund", "payment", "failure", "error", "complaint", "delivery", "pickup", "booking",
    "cancellation", "checkin", "checkout", "play", "skip", "save", "quiz",
)
# fmt: on
MOST_KINDS = len(KINDS)
_VALUED = np.array([kind in {"purchase", "return", "coupon", "refund", "payment"} for kind in KINDS])
_PIECE = 1_000_000  # events drawn and written at once
_VISIT = 4  # events of a visit, on average
_SKEW = 0.7  # the exponent of Zipf's law
_HOUR = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a log is."""

    events: int
    users: int
    kinds: int = 12
    has_properties: bool = False  # a channel and a store with every event
    seed: int = 0


_TIME = pa.timestamp("us", tz="UTC")
_SCHEMA = pa.schema([("user_id", pa.string()), ("time", _TIME), ("event", pa.string()), ("value", pa.float64())])
_PROPERTIES = {
    "channel": pa.array(["web", "app", "phone", "store"]),
    "store": pa.array([f"store-{number}" for number in range(40)]),
}


def write_events(path: Path, shape: Shape) -> None:
    """Write the events, in no order of time or user, to one Parquet file."""
    with pq.ParquetWriter(path, _schema(shape)) as writer, ThreadPoolExecutor(max_workers=1) as pool:
        written = pool.submit(lambda: None)
        for piece in _pieces(shape):
            written.result()  # one piece is drawn while the one before is written
            written = pool.submit(writer.write_table, piece)
        written.result()


def write_csv(source: Path, target: Path, *, events: int) -> None:
    """Write the first events of a Parquet file as CSV."""
    parquet = pq.ParquetFile(source)
    with pyarrow.csv.CSVWriter(target, parquet.schema_arrow) as writer:
        for piece in parquet.iter_batches(min(_PIECE, events)):
            writer.write_batch(piece.slice(0, events))
            events -= len(piece)
            if events <= 0:
                break


def _schema(shape: Shape) -> pa.Schema:
    return pa.schema([*_SCHEMA, *((name, pa.string()) for name in _PROPERTIES if shape.has_properties)])


def _pieces(shape: Shape) -> Iterator[pa.Table]:
    random = np.random.default_rng(shape.seed)
    names = pa.array([f"user-{number:08}" for number in range(shape.users)])
    left = np.minimum(0.2 + 1.6 * random.random(shape.users), 1.0)  # half of the users go silent during the log
    common = 1.0 / np.arange(1, shape.kinds + 1)
    steps = np.cumsum(common / common.sum())[:-1]
    for start in range(0, shape.events, _PIECE):
        piece = _piece(random, min(_PIECE, shape.events - start), names, left, steps)
        for name, texts in _PROPERTIES.items() if shape.has_properties else ():
            chosen = (len(texts) * random.random(len(piece)) ** 2).astype(np.int64)
            piece = piece.append_column(name, texts.take(pa.array(chosen)))
        yield piece


def _piece(random: np.random.Generator, events: int, names: pa.Array, left: np.ndarray, steps: np.ndarray) -> pa.Table:
    lengths = random.geometric(1 / _VISIT, size=events)  # at least one each, so that there are visits enough
    visits = int(np.searchsorted(np.cumsum(lengths), events)) + 1
    visit = np.repeat(np.arange(visits), lengths[:visits])[:events]
    user = _users(random, visits, len(names))
    span = to_microseconds(END) - to_microseconds(START) - _HOUR
    begun = to_microseconds(START) + (random.random(visits) * left[user] * span).astype(np.int64)
    moment = begun[visit] + random.integers(0, _HOUR, size=events)
    kind = np.searchsorted(steps, random.random(events))
    value = np.round(np.exp(random.standard_normal(events, dtype=np.float32) + 3.0).astype(np.float64), 2)
    columns = [
        names.take(pa.array(user[visit])),
        pa.array(moment - moment % 1_000_000, _TIME),
        pa.array(KINDS).take(pa.array(kind)),
        pa.array(value, mask=~_VALUED[kind]),
    ]
    return pa.Table.from_arrays(columns, schema=_SCHEMA)


def _users(random: np.random.Generator, count: int, users: int) -> np.ndarray:
    """Zipf's law for a bounded number of users, by the inverse of its continuous form: quicker than a table."""
    power = 1.0 - _SKEW
    drawn = ((users + 1.0) ** power - 1.0) * random.random(count) + 1.0
    return np.asarray(np.minimum(drawn ** (1.0 / power), users) - 1, dtype=np.int64)


def main() -> None:
    """Write a log, and the first of its events as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--kinds", type=int, default=12, choices=range(1, MOST_KINDS + 1), metavar="KINDS")
    parser.add_argument("--csv-events", type=int, default=0, help="so many of them beside it as CSV")
    parser.add_argument("--properties", action="store_true", help="a channel and a store with every event")
    options = parser.parse_args()
    write_events(options.path, Shape(options.events, options.users, options.kinds, options.properties))
    if options.csv_events:
        write_csv(options.path, options.path.with_suffix(".csv"), events=options.csv_events)


if __name__ == "__main__":
    main()
