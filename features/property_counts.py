"""Which properties the events of a log have, how often, and with which texts."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.reading import Entries
from features.user_events import IntArray

MOST_DISTINCT = 10_000  # different texts of a property are counted up to here
MOST_TEXTS = 20  # that a summary names
_KEPT = 1_000  # texts of a property that has more than are counted
_MOST_NAMES = 200  # properties whose texts are counted, so that names which are data cannot fill the memory
_LONGEST = 200  # bytes; a longer text is nobody's category


@dataclass(frozen=True, slots=True)
class PropertySummary:
    """One property of the events of a log."""

    name: str
    events: int  # that have it
    distinct: int  # texts of at most 200 bytes; 10,000 stands for all above
    texts: tuple[tuple[str, int], ...]  # the 20 most frequent with their events; about, where there are above 10,000


class PropertyCounts:
    """Counts that grow by entries and by the counts of other buckets; properties that begin with `_` are left out."""

    def __init__(self) -> None:
        self._events: Counter[str] = Counter()
        self._texts: dict[str, Counter[str]] = {}
        self._beyond: set[str] = set()  # names with more texts than are counted

    def add(self, entries: Entries) -> None:
        """Count some entries."""
        texts = entries.texts.dictionary
        width = max(len(texts), 1)
        pairs = entries.names.indices.to_numpy().astype(np.int64) * width + entries.texts.indices.to_numpy()
        counted = pc.value_counts(pa.array(pairs))
        pair, count = counted.field("values").to_numpy(), counted.field("counts").to_numpy()
        short = pc.less_equal(pc.binary_length(texts), _LONGEST).to_numpy(zero_copy_only=False)
        for place, name in enumerate(entries.names.dictionary.to_pylist()):
            mine = pair // width == place
            if mine.any() and not name.startswith("_"):
                self._events[name] += int(count[mine].sum())
                mine &= short[pair % width]
                self._count_texts(name, texts, pair[mine] % width, count[mine])

    def merge(self, other: "PropertyCounts") -> None:
        """Add what another bucket counted."""
        self._events.update(other._events)
        self._beyond |= other._beyond
        for name, counts in other._texts.items():
            self._update(name, counts)

    def summaries(self) -> tuple[PropertySummary, ...]:
        """The properties, most used first."""
        return tuple(self._summary(name) for name in _most_frequent(self._events))

    def _count_texts(self, name: str, texts: pa.Array, codes: IntArray, count: IntArray) -> None:
        if len(codes) > MOST_DISTINCT:  # ids of sessions, say: too many to become texts of Python's
            self._beyond.add(name)
            kept = np.argsort(-count, kind="stable")[:_KEPT]
            codes, count = codes[kept], count[kept]
        found = texts.take(pa.array(codes)).to_pylist()
        self._update(name, dict(zip(found, count.tolist(), strict=True)))

    def _update(self, name: str, counts: dict[str, int]) -> None:
        if name not in self._texts and len(self._texts) >= _MOST_NAMES:
            self._beyond.add(name)
            return
        mine = self._texts.setdefault(name, Counter())
        mine.update(counts)
        if len(mine) > MOST_DISTINCT:
            self._beyond.add(name)
            self._texts[name] = Counter({text: mine[text] for text in _most_frequent(mine)[:_KEPT]})

    def _summary(self, name: str) -> PropertySummary:
        counts = self._texts.get(name, Counter())
        distinct = MOST_DISTINCT if name in self._beyond else len(counts)
        texts = tuple((text, counts[text]) for text in _most_frequent(counts)[:MOST_TEXTS])
        return PropertySummary(name, self._events[name], distinct, texts)


def _most_frequent(counts: "Counter[str]") -> list[str]:
    return sorted(counts, key=lambda each: (-counts[each], each))
