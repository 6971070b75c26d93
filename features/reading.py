"""Files of a bucket as events: the columns that are wanted, merged where an event is in several files."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.bucket_files import coded, first_of_each, order_of, taken, user_codes
from features.errors import Damaged
from features.events import EVENT_SCHEMA
from features.identity import column
from features.kinds import PROFILE
from features.user_events import (
    NOTHING_MORE,
    FloatArray,
    IntArray,
    KindArray,
    Property,
    UserEvents,
    Wanted,
    none,
)

_KERNEL_COLUMNS = ["user_id", "time", "event", "value"]
_KEY, _ITEM = "properties.key_value.key", "properties.key_value.value"
_DICTIONARIES = ["user_id", "event", _KEY, _ITEM]  # reading these as texts is what reading a log costs
_PROPERTY = "properties."  # before a property's name it is a column's name that no other column has


@dataclass(frozen=True, slots=True)
class Entries:
    """Properties of events, an entry each: the rows that have one, its name and its text."""

    rows: IntArray  # ascending
    names: pa.DictionaryArray
    texts: pa.DictionaryArray

    def only(self, chosen: NDArray[np.bool_]) -> "Entries":
        """Some of them."""
        if chosen.all():
            return self
        mask = pa.array(chosen)
        return Entries(self.rows[chosen], self.names.filter(mask), self.texts.filter(mask))


def read_rows(paths: Sequence[Path], *, columns: list[str] | None = None) -> pa.Table:
    """The rows of some files one after the other, plain texts, not de-duplicated."""
    schema = pa.schema([EVENT_SCHEMA.field(name) for name in columns or EVENT_SCHEMA.names])
    tables = []
    for path in paths:
        with _opened(path) as file:
            tables.append(file.read(columns=schema.names).cast(schema))
    return pa.concat_tables(tables) if tables else schema.empty_table()


def batches(path: Path) -> Iterator[pa.Table]:
    """The rows of a file in pieces of bounded size, plain texts."""
    with _opened(path) as file:
        for batch in file.iter_batches(batch_size=1 << 18):
            yield pa.Table.from_batches([batch]).cast(EVENT_SCHEMA)


def read_events(paths: Sequence[Path], wanted: Wanted = NOTHING_MORE) -> UserEvents:
    """The events of a bucket; an event that several files hold counts once, as the first of them has it."""
    if len(paths) == 1:  # one file is without duplicates and sorted by the way it was written
        return _as_user_events(_read(paths[0], wanted), wanted)
    return _as_user_events(_merged([_read(path, wanted, with_ids=True) for path in paths]), wanted)


def read_events_of(user_id: str, paths: Sequence[Path], wanted: Wanted = NOTHING_MORE) -> UserEvents:
    """The events of one user; reads only the row groups that can hold them."""
    held = [(path, groups) for path in paths if (groups := _groups_of(user_id, path))]
    tables = [_read_user(user_id, path, groups, wanted, with_ids=len(held) > 1) for path, groups in held]
    return _as_user_events(tables[0] if len(tables) == 1 else _merged(tables), wanted)


def read_entries(paths: Sequence[Path]) -> Iterator[tuple[Entries, Entries]]:
    """All properties of a bucket in pieces, those of events and those of profiles; what two files hold comes twice."""
    for path in paths:
        with _opened(path, dictionaries=_DICTIONARIES) as file:
            for group in range(file.num_row_groups):
                if _has_properties(file, group):
                    kinds = file.read_row_group(group, columns=["event"])["event"].combine_chunks()
                    yield _by_kind(_entries(file, group), kinds)


def _read(path: Path, wanted: Wanted, *, with_ids: bool = False) -> pa.Table:
    with _opened(path, dictionaries=_DICTIONARIES) as file:
        rows = file.read(columns=_columns(wanted, with_ids=with_ids), use_threads=False)  # callers have theirs
        return _with_properties(rows, file, range(file.num_row_groups), wanted.properties)


def _read_user(user_id: str, path: Path, groups: Sequence[int], wanted: Wanted, *, with_ids: bool) -> pa.Table:
    columns = _columns(wanted, with_ids=with_ids)
    with _opened(path, dictionaries=_DICTIONARIES, metadata=_index(path).metadata) as file:
        rows = file.read_row_groups(groups, columns=columns, use_threads=False)
        rows = _with_properties(rows, file, groups, wanted.properties)
    return _with_kinds_left(rows.slice(*_run(rows["user_id"], user_id)))


def _run(user_ids: pa.ChunkedArray, user_id: str) -> tuple[int, int]:
    """Where the rows of a user begin, and how many they are."""
    mine = [chunk.indices.to_numpy() == pc.index(chunk.dictionary, user_id).as_py() for chunk in user_ids.chunks]
    places = np.flatnonzero(np.concatenate(mine))
    return (int(places[0]), len(places)) if len(places) else (0, 0)


@dataclass(frozen=True, slots=True)
class _Index:
    """What the end of a file says: read once, because files never change."""

    metadata: pq.FileMetaData
    first_users: tuple[str, ...]  # of each row group
    last_users: tuple[str, ...]


@lru_cache(maxsize=1024)
def _index(path: Path) -> _Index:
    with _opened(path) as file:
        metadata = file.metadata
    bounds = [metadata.row_group(group).column(0).statistics for group in range(metadata.num_row_groups)]
    return _Index(metadata, tuple(each.min for each in bounds), tuple(each.max for each in bounds))


def _groups_of(user_id: str, path: Path) -> Sequence[int]:
    """The row groups that can hold a user's events."""
    index = _index(path)
    return range(bisect_left(index.last_users, user_id), bisect_right(index.first_users, user_id))


def _columns(wanted: Wanted, *, with_ids: bool) -> list[str]:
    return [*_KERNEL_COLUMNS, *(["received_at"] if wanted.received else []), *(["event_id"] if with_ids else [])]


def _has_properties(file: pq.ParquetFile, group: int) -> bool:
    """Whether the statistics leave it open that an event of this row group has a property."""
    row_group = file.metadata.row_group(group)
    for place in range(row_group.num_columns):
        chunk = row_group.column(place)
        if chunk.path_in_schema == _KEY:
            return chunk.statistics is None or chunk.statistics.null_count < chunk.num_values
    return False


def _entries(file: pq.ParquetFile, group: int) -> Entries:
    """The properties of one row group: Arrow decodes nested dictionaries only by the row group."""
    properties = column(file.read_row_group(group, columns=["properties"]), "properties")
    offsets = properties.offsets.to_numpy()
    rows = np.repeat(np.arange(len(properties)), np.diff(offsets))
    return Entries(rows, properties.keys, properties.items)


def _by_kind(entries: Entries, kinds: pa.DictionaryArray) -> tuple[Entries, Entries]:
    profile = pc.index(kinds.dictionary, PROFILE).as_py()
    of_profile = (kinds.indices.to_numpy() == profile)[entries.rows]
    return entries.only(~of_profile), entries.only(of_profile)


def _with_properties(rows: pa.Table, file: pq.ParquetFile, groups: Sequence[int], names: tuple[str, ...]) -> pa.Table:
    """The rows with a column of coded texts for each of the properties."""
    if not names:
        return rows
    pieces: dict[str, list[pa.DictionaryArray]] = {name: [] for name in names}
    for group in groups:
        count = file.metadata.row_group(group).num_rows
        entries = _entries(file, group) if _has_properties(file, group) else None
        for name in names:
            pieces[name].append(_nothing(count) if entries is None else _one_property(entries, name, rows=count))
    for name in names:
        rows = rows.append_column(_PROPERTY + name, pa.chunked_array(pieces[name], _CODED))
    return rows


_CODED = pa.dictionary(pa.int32(), pa.string())


def _nothing(rows: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.nulls(rows, pa.int32()), pa.array([], pa.string()))


def _one_property(entries: Entries, name: str, *, rows: int) -> pa.DictionaryArray:
    code = pc.index(entries.names.dictionary, name).as_py()
    mine = np.flatnonzero(entries.names.indices.to_numpy() == code)  # -1, not there, is no code
    codes = np.full(rows, -1, dtype=np.int32)
    used, local = np.unique(entries.texts.indices.to_numpy()[mine], return_inverse=True)
    codes[entries.rows[mine]] = local
    return pa.DictionaryArray.from_arrays(
        pa.array(codes, mask=codes < 0), entries.texts.dictionary.take(pa.array(used))
    )


@contextmanager
def _opened(
    path: Path, *, dictionaries: Sequence[str] = (), metadata: pq.FileMetaData | None = None
) -> Iterator[pq.ParquetFile]:
    """The file; raises `Damaged` where it is not there or cannot be read."""
    try:
        with pq.ParquetFile(path, read_dictionary=list(dictionaries), metadata=metadata) as file:
            yield file
    except FileNotFoundError:
        raise Damaged(
            f"The event log lacks its file {path}. Restore it from a backup, or import the source files into a new log."
        ) from None
    except (pa.ArrowInvalid, pa.ArrowIOError) as error:
        raise Damaged(
            f"The file {path} of the event log cannot be read ({error}). Restore it from a backup, "
            "or import the source files into a new log."
        ) from error


def _merged(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of several files, each event once, sorted."""
    if not any(rows.num_rows for rows in tables):
        return EVENT_SCHEMA.empty_table()
    rows = coded(pa.concat_tables(tables).unify_dictionaries().combine_chunks())
    rows = taken(rows, first_of_each(user_codes(rows), column(rows, "event_id")))
    return _with_kinds_left(taken(rows, order_of(rows)))


def _with_kinds_left(rows: pa.Table) -> pa.Table:
    """The rows whose dictionary of kinds holds none that is not among them."""
    kinds = rows["event"].cast(pa.string()).dictionary_encode()
    return rows.set_column(rows.column_names.index("event"), "event", kinds)


def _as_user_events(rows: pa.Table, wanted: Wanted) -> UserEvents:
    if not rows.num_rows:
        return none(wanted=wanted)
    user_ids, starts = _users(rows["user_id"])
    names, kinds = _kinds(rows["event"])
    times = column(rows, "time").cast(pa.int64())
    received = column(rows, "received_at").cast(pa.int64()) if wanted.received else None
    return UserEvents(
        user_ids=user_ids,
        offsets=np.append(starts, rows.num_rows),
        times=times.to_numpy(),
        kinds=kinds,
        kind_names=names,
        values=_numbers(column(rows, "value")),
        received=None if received is None else pc.coalesce(received, times).to_numpy(),
        properties={name: _property(rows[_PROPERTY + name]) for name in wanted.properties},
    )


def _users(ids: pa.ChunkedArray) -> tuple[tuple[str, ...], IntArray]:
    """The users of sorted rows, and where each begins."""
    users: list[str] = []
    starts: list[IntArray] = []
    before = 0
    for chunk in ids.chunks:
        codes = chunk.indices.to_numpy()
        changes = np.flatnonzero(codes[1:] != codes[:-1]) + 1
        begins = np.concatenate(([0], changes)) if len(codes) else changes
        found = chunk.dictionary.take(pa.array(codes[begins])).to_pylist()
        goes_on = bool(users and found and users[-1] == found[0])
        users += found[goes_on:]
        starts.append(before + begins[goes_on:])
        before += len(codes)
    return tuple(users), np.concatenate(starts).astype(np.int64)


def _kinds(kinds: pa.ChunkedArray) -> tuple[tuple[str, ...], KindArray]:
    """The kinds in the order of their names, and each row's place among them."""
    names = sorted({name for chunk in kinds.chunks for name in chunk.dictionary.to_pylist()})
    return tuple(names), _places(kinds, names)


def _property(texts: pa.ChunkedArray) -> Property:
    different = dict.fromkeys(text for chunk in texts.chunks for text in chunk.dictionary.to_pylist())
    return Property(_places(texts, list(different)), tuple(different))


def _places(texts: pa.ChunkedArray, among: list[str]) -> KindArray:
    """Where each row's text stands; -1 for none."""
    place_of = {text: place for place, text in enumerate(among)}
    places = np.empty(len(texts), dtype=np.int32)
    start = 0
    for chunk in texts.chunks:
        local = chunk.indices.fill_null(-1).to_numpy()
        known = np.array([*(place_of[text] for text in chunk.dictionary.to_pylist()), -1], dtype=np.int32)
        np.take(known, local, out=places[start : start + len(local)], mode="wrap")  # twice as quick as an index
        start += len(local)
    return places


def _numbers(values: pa.Array) -> FloatArray:
    """The numbers, NaN where there is none: twice as quick as Arrow's own, and on the path of every feature."""
    if not values.null_count:
        numbers: FloatArray = values.to_numpy()
        return numbers
    bits, numbers = (np.frombuffer(buffer, dtype=kind) for buffer, kind in zip(values.buffers(), _BUFFERS, strict=True))
    given = np.unpackbits(bits, bitorder="little")[values.offset :][: len(values)].view(np.bool_)
    return np.where(given, numbers[values.offset :][: len(values)], np.nan)


_BUFFERS = (np.uint8, np.float64)  # a bit a row, a number a row
