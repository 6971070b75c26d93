"""Files with a row an event, in batches of bounded size: Parquet, CSV and NDJSON, their columns named as we do."""

import csv
from collections.abc import Generator, Iterator
from typing import IO, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from features.errors import BadInput
from features.events import RawRows, Rejection, plain
from features.identity import column
from features.properties import as_text, from_columns
from features.sources import ndjson
from features.sources.files import SourceFile, opened
from features.sources.lines import UNCLOSED, Records, records
from features.sources.mapping import Mapping
from features.user_events import IntArray

_ROWS = 1 << 18  # of a Parquet batch
_ROWS_OF_GROUPS = 1 << 20  # that are asked for at once
_BYTES_A_ROW = 64  # of text, about
_UNPACKED = 6  # times the size of a text that is compressed, about
_FEW_TEXTS = ("user_id", "event")  # columns that hold a text many times, and are read and checked faster as codes


def read(file: SourceFile, mapping: Mapping, *, stdin: BinaryIO | None = None) -> Generator[RawRows]:
    """The rows of a file, batch by batch; raises `BadInput` for what is wrong with the whole of it."""
    if file.format == "parquet":
        yield from _read_parquet(file, mapping)
        return
    with opened(file, stdin) as stream:
        if file.format == "csv":
            yield from _read_csv(stream, file.name, mapping)
        else:
            yield from ndjson.read(stream, file.name, mapping)


def rows_about(file: SourceFile) -> int:
    """About how many rows a file holds, without reading it: none for what says nothing of it."""
    if file.path is None:
        return 0
    if file.format != "parquet":
        return file.path.stat().st_size * (_UNPACKED if file.gzipped else 1) // _BYTES_A_ROW
    try:
        return int(pq.read_metadata(file.path).num_rows)
    except (pa.ArrowInvalid, OSError):
        return 0  # who reads it will say what is wrong with it


def raw_rows(
    rows: pa.Table,
    columns: dict[str, str],
    mapping: Mapping,
    *,
    file: str,
    unit: str,
    numbers: IntArray,
    broken: tuple[Rejection, ...] = (),
) -> RawRows:
    """Rows of a table with their columns named as in the contract, all others as properties."""
    found = {canonical: column(rows, name) for canonical, name in columns.items()}
    if mapping.event_constant is not None:
        found["event"] = pa.array([mapping.event_constant]).take(pa.array(np.zeros(rows.num_rows, dtype=np.int64)))
    others = {name: plain(column(rows, name)) for name in rows.column_names if name not in columns.values()}
    return RawRows(
        file=file,
        unit=unit,
        numbers=numbers,
        columns=found,
        properties=from_columns(others, rows=rows.num_rows),
        originals=rows,
        names=columns,
        broken=broken,
    )


def _read_parquet(file: SourceFile, mapping: Mapping) -> Iterator[RawRows]:
    if file.path is None:
        raise BadInput("Parquet cannot be read from standard input, because its index is at its end; expected a file.")
    try:
        schema = pq.read_schema(file.path)
        columns = mapping.columns(schema.names, file=file.name)
        texts = [columns[name] for name in _FEW_TEXTS if name in columns and _is_text(schema.field(columns[name]).type)]
        with pq.ParquetFile(file.path, read_dictionary=texts) as parquet:
            row = 1
            for batch in _batches(parquet):
                yield raw_rows(
                    pa.Table.from_batches([batch]),
                    columns,
                    mapping,
                    file=file.name,
                    unit="row",
                    numbers=row + np.arange(batch.num_rows),
                )
                row += batch.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise BadInput(
            f"{file.name} is not a Parquet file that can be read ({error}); expected a complete one."
        ) from None


def _batches(parquet: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """The file batch by batch, some row groups at a time: Arrow holds what it has read until all asked for is read."""
    groups: list[int] = []
    for group in range(parquet.num_row_groups):
        groups.append(group)
        rows = sum(parquet.metadata.row_group(each).num_rows for each in groups)
        if rows >= _ROWS_OF_GROUPS or group == parquet.num_row_groups - 1:
            yield from parquet.iter_batches(batch_size=_ROWS, row_groups=groups)
            groups = []


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _read_csv(stream: IO[bytes], name: str, mapping: Mapping) -> Iterator[RawRows]:
    header: list[str] = []
    columns: dict[str, str] = {}
    for block in records(stream, name=name, quoted=True):
        first = 0
        if not header and block.fields.any():
            first = int(np.flatnonzero(block.fields)[0]) + 1
            header = next(csv.reader([block.record(first - 1)], delimiter=block.delimiter))
            columns = mapping.columns(header, file=name)
        if header:
            yield _csv_rows(block, first, header, columns, mapping, name=name)
    if not header:
        raise BadInput(f"{name} is empty; expected a line with the names of the columns, then a line an event.")


def _csv_rows(
    block: Records, first: int, header: list[str], columns: dict[str, str], mapping: Mapping, *, name: str
) -> RawRows:
    whole = block.fields == len(header)
    broken = np.flatnonzero(~whole & (block.fields != 0))
    whole[:first] = False
    rejections = tuple(_broken(block, int(each), len(header), name=name) for each in broken if each >= first)
    several_lines = bool((block.heights > 1).any())
    rows = _parsed(block.only(whole), header, delimiter=block.delimiter, several_lines=several_lines)
    if rows.num_rows != np.count_nonzero(whole):
        raise BadInput(f"{name}: the quotes between lines {block.lines[0]} and {block.lines[-1]} do not pair up.")
    return raw_rows(rows, columns, mapping, file=name, unit="line", numbers=block.lines[whole], broken=rejections)


def _parsed(text: bytes, header: list[str], *, delimiter: str, several_lines: bool) -> pa.Table:
    if not text:
        return pa.table({name: pa.array([], pa.string()) for name in header})
    return pa_csv.read_csv(
        pa.BufferReader(text),
        read_options=pa_csv.ReadOptions(
            column_names=header, block_size=max(len(text), 1) if several_lines else 1 << 20
        ),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=several_lines),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            check_utf8=False,  # the records are checked already
        ),
    )


def _broken(block: Records, record: int, expected: int, *, name: str) -> Rejection:
    found = int(block.fields[record])
    reason = "a quote is opened and not closed" if found == UNCLOSED else f"has {found} fields"
    place = f"{name} line {block.lines[record]}"
    return Rejection(place, "broken_line", f"{reason}; expected {expected} fields", as_text([block.record(record)]))
