"""What else is known about an event, as a map of texts: every column that the contract does not name."""

from collections.abc import Mapping, Sequence

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc


def from_columns(columns: Mapping[str, pa.Array], *, rows: int) -> pa.Array:
    """A `map<string, string>` a row from its columns, in the order of their names; what is missing is left out."""
    names = sorted(columns)
    if not names or not rows:
        return pa.MapArray.from_arrays(
            pa.array(np.zeros(rows + 1, dtype=np.int32)), pa.array([], pa.string()), pa.array([], pa.string())
        )
    texts = [_as_texts(columns[name]) for name in names]
    present = np.stack([text.is_valid().to_numpy(zero_copy_only=False) for text in texts], axis=1)
    chosen = np.flatnonzero(present)  # row by row, a row's columns beside each other
    row, which = chosen // len(names), chosen % len(names)
    items = pa.concat_arrays(texts).take(pa.array(which * rows + row))
    keys = pa.array(names, pa.string()).take(pa.array(which))
    offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int32)
    return pa.MapArray.from_arrays(pa.array(offsets), keys, items)


def from_dicts(rows: Sequence[Mapping[str, object]]) -> pa.Array:
    """The same from one mapping a row."""
    offsets, keys, items = [0], [], []
    for row in rows:
        for key in sorted(row):
            text = as_text(row[key])
            if text:
                keys.append(key)
                items.append(text)
        offsets.append(len(keys))
    return pa.MapArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.array(keys, pa.string()), pa.array(items, pa.string())
    )


def as_text(thing: object) -> str:
    """A text as it is, nothing as an empty one, all else as JSON.

    >>> as_text("blue"), as_text(None), as_text(12.5), as_text({"sku": [1, 2]})
    ('blue', '', '12.5', '{"sku":[1,2]}')
    """
    if isinstance(thing, str):
        return thing
    return "" if thing is None else orjson.dumps(thing, default=_shown, option=orjson.OPT_NON_STR_KEYS).decode()


def _shown(thing: object) -> str:
    return thing.hex() if isinstance(thing, bytes) else str(thing)


def _as_texts(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        texts = pa.array([as_text(each) for each in column.to_pylist()], pa.string())
    else:
        texts = column.cast(pa.string())
    empty = pc.equal(pc.binary_length(texts), 0)
    return pc.if_else(empty, pa.scalar(None, pa.string()), texts) if pc.any(empty).as_py() else texts
