"""Events that are in memory already: a DataFrame of pandas or Polars, an Arrow table, what speaks its C stream."""

import warnings
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.errors import BadInput
from features.events import RawRows, plain
from features.sources.mapping import Mapping
from features.sources.tabular import raw_rows

_ROWS = 1 << 18  # of a batch, as of a Parquet file
_UNNAMED_INDEX = "__index_level_"  # what Arrow calls an index of pandas that has no name: row numbers, no data


@dataclass(frozen=True, slots=True, eq=False)
class SourceTable:
    """A table to read, and what places in it are called by."""

    name: str
    rows: pa.Table

    @classmethod
    def of(cls, frame: object, *, name: str = "the table") -> "SourceTable":
        """The table; a named index of pandas is a column of it. Raises `BadInput` for what is no table."""
        if not isinstance(frame, pa.Table) and not hasattr(frame, "__arrow_c_stream__"):
            raise BadInput(
                f"{name} is a {type(frame).__name__}; expected a DataFrame of pandas or Polars, or an Arrow table."
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # Arrow's own, of how it reads pandas
                rows = pa.table(frame)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise BadInput(f"{name} cannot be read ({error}); expected one type a column.") from None
        kept = [each for each in rows.column_names if not each.startswith(_UNNAMED_INDEX)]
        return cls(name, pa.table({each: _without_views(rows[each]) for each in kept}))


def read(table: SourceTable, mapping: Mapping) -> Generator[RawRows]:
    """The rows of a table, batch by batch, counted from 1; raises `BadInput` for what is wrong with the whole of it."""
    columns = mapping.columns(table.rows.column_names, file=table.name)
    for start in range(0, table.rows.num_rows, _ROWS):
        piece = table.rows.slice(start, _ROWS).combine_chunks()
        numbers = 1 + start + np.arange(piece.num_rows)
        yield raw_rows(piece, columns, mapping, file=table.name, unit="row", numbers=numbers)


def _without_views(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in a layout that Arrow's functions know: few of them take the views in which Polars keeps texts."""
    held = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not pa.types.is_string_view(held):
        return column
    return pa.chunked_array([plain(chunk) for chunk in column.chunks], pa.string())
