"""NDJSON: a JSON object an event, a line each."""

from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import orjson
import pyarrow as pa

from features.errors import BadInput
from features.events import RawRows, Rejection
from features.properties import as_text, from_dicts
from features.sources.lines import Records, records
from features.sources.mapping import Mapping

_Object = dict[str, Any]  # JSON holds anything
_SCALAR = (str, int, float, type(None))


def read(stream: IO[bytes], name: str, mapping: Mapping) -> Iterator[RawRows]:
    """The objects of a file, batch by batch; a line that holds none is rejected with its number.

    An object named `properties` in an event is opened: its entries stand beside the other columns.
    """
    seen: set[str] = set()
    empty = True
    for block in records(stream, name=name, quoted=False):
        empty = empty and not block.fields.any()
        taken = [_taken(block, each, name) for each in np.flatnonzero(block.fields).tolist()]
        seen.update(*(each for each in taken if isinstance(each, dict)))
        if seen:
            yield _raw(block, taken, mapping.columns(sorted(seen), file=name), mapping, name=name)
        else:
            yield _raw(block, taken, {}, mapping, name=name)
    if empty:
        raise BadInput(f"{name} is empty; expected a JSON object an event, a line each.")


def _taken(block: Records, record: int, name: str) -> _Object | Rejection:
    line = block.record(record)
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        reason = f"is not JSON ({error.msg}); expected an object"
    else:
        if isinstance(found, dict):
            return found
        reason = 'is not a JSON object; expected one such as {"user_id": …}'
    return Rejection(f"{name} line {block.lines[record]}", "broken_line", reason, as_text([line]))


def _raw(
    block: Records, taken: list[_Object | Rejection], columns: dict[str, str], mapping: Mapping, *, name: str
) -> RawRows:
    lines = block.lines[block.fields != 0].tolist()
    whole: list[tuple[int, _Object]] = []
    broken: list[Rejection] = []
    for line, each in zip(lines, taken, strict=True):
        checked = each if isinstance(each, Rejection) else _scalars_only(each, columns, f"{name} line {line}")
        if isinstance(checked, Rejection):
            broken.append(checked)
        else:
            whole.append((line, checked))
    objects = [each for _, each in whole]
    found = {canonical: _column([each.get(column) for each in objects]) for canonical, column in columns.items()}
    if mapping.event_constant is not None:
        found["event"] = pa.array([mapping.event_constant] * len(objects), pa.string())
    named = set(columns.values())
    return RawRows(
        file=name,
        unit="line",
        numbers=np.array([line for line, _ in whole], dtype=np.int64),
        columns=found,
        properties=from_dicts([_others(each, named) for each in objects]),
        originals=pa.array([orjson.dumps(each).decode() for each in objects], pa.string()),
        names=columns,
        broken=tuple(broken),
    )


def _scalars_only(found: _Object, columns: dict[str, str], place: str) -> _Object | Rejection:
    for canonical, column in columns.items():
        value = found.get(column)
        if not isinstance(value, _SCALAR) or isinstance(value, bool):
            reason = f"{canonical} {as_text(value)[:60]} is not a single value; expected a text or a number"
            return Rejection(place, f"bad_{canonical}", reason, as_text(found))
    return found


def _column(values: list[Any]) -> pa.Array:
    """One type for all: numbers where all are, else texts."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if value is None else as_text(value) for value in values], pa.string())


def _others(found: _Object, named: set[str]) -> _Object:
    others = {key: value for key, value in found.items() if key not in named}
    inner = others.pop("properties", None)
    return (
        {**inner, **others} if isinstance(inner, dict) else others if inner is None else {**others, "properties": inner}
    )
