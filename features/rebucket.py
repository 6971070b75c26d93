"""How many buckets a log needs, and its rows on their way into others."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from features.reading import batches

FEWEST, MOST = 16, 8192
EVENTS_A_BUCKET = 1_000_000  # so that two of them and what is made of them fit the memory of a small machine
_OUTGROWN = 4  # times that, on average


def buckets_for(events: int, *, each: int = EVENTS_A_BUCKET) -> int:
    """The buckets of a log of so many events: a power of two, about a million events each.

    >>> buckets_for(0), buckets_for(50_000_000), buckets_for(200_000_000)
    (16, 64, 256)
    """
    needed = max(events // each, 1)
    return min(max(FEWEST, 1 << (needed - 1).bit_length()), MOST)


def is_small_for(events: int, *, buckets: int) -> bool:
    """Whether a log that is to hold so many events should have more buckets from the start.

    >>> is_small_for(16_000_000, buckets=16), is_small_for(17_000_000, buckets=16)
    (False, True)
    """
    return events > EVENTS_A_BUCKET * buckets and buckets_for(events) > buckets


def is_outgrown(events: int, *, buckets: int, each: int = EVENTS_A_BUCKET) -> bool:
    """Whether a log's buckets are too few for the events that it has.

    >>> is_outgrown(64_000_000, buckets=16), is_outgrown(65_000_000, buckets=16)
    (False, True)
    """
    return events > _OUTGROWN * each * buckets and buckets_for(events, each=each) > buckets


def all_rows(files: Sequence[Sequence[Path]]) -> Iterator[pa.Table]:
    """The rows of a log in pieces, each user's in the order of their arrival."""
    for paths in files:
        for path in paths:
            yield from batches(path)
