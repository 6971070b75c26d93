"""Tables as files: CSV that is safe to open, or Parquet, by the file's name."""

from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import BadInput
from holdfast.files import replacing

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 50_000


def check_name(target: Path) -> None:
    """Raise `BadInput` unless the name ends in .csv or .parquet."""
    if target.suffix not in {".csv", ".parquet"}:
        raise BadInput(f"{target}: expected a name that ends in .csv or .parquet.")


def write_table(table: "pa.Table", target: Path) -> None:
    """Write the table; the file is there whole or not at all."""
    check_name(target)
    with replacing(target) as unfinished:
        if target.suffix == ".parquet":
            import pyarrow.parquet as pq  # noqa: PLC0415 off the command line's start

            pq.write_table(table, unfinished)
        else:
            _write_csv(table, unfinished)


def _write_csv(table: "pa.Table", target: Path) -> None:
    from serving.lists import csv_lines  # noqa: PLC0415 off the command line's start

    rows = (tuple(row.values()) for batch in table.to_batches(_ROWS) for row in batch.to_pylist())
    with target.open("w", encoding="utf-8", newline="") as out:
        out.writelines(csv_lines(rows, columns=table.column_names))
