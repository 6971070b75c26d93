"""Lists that are opened in spreadsheets: nothing in them runs, numbers stay numbers."""

import csv
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import BadInput
from serving.lists import csv_lines, safe_cell, write_table


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "=cmd|' /C calc'!A0"]
)
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == "'" + text


@pytest.mark.parametrize("cell", ["ada", "", "1-1", "émile", -0.5, 0.5, 12, "'=1"])
def test_other_cells_stay_as_they_are(cell: str | float) -> None:
    assert safe_cell(cell) == cell


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.floats(0, 1)), max_size=5))
def test_what_is_written_is_read_back_cell_by_cell(rows: list[tuple[str, float]]) -> None:
    text = "".join(csv_lines(rows, columns=("user_id", "churn_probability")))
    header, *found = csv.reader(io.StringIO(text, newline=""))
    assert header == ["user_id", "churn_probability"]
    assert [(user, float(number)) for user, number in found] == [(safe_cell(user), number) for user, number in rows]


def test_a_table_is_written_as_its_ending_says(tmp_path: Path) -> None:
    table = pa.table({"user_id": ["ada", "=1+1"], "churn_probability": [0.9, 0.1]})
    write_table(table, tmp_path / "scores.csv")
    write_table(table, tmp_path / "scores.parquet")
    assert (tmp_path / "scores.csv").read_bytes() == b"user_id,churn_probability\r\nada,0.9\r\n'=1+1,0.1\r\n"
    assert pq.read_table(tmp_path / "scores.parquet") == table
    with pytest.raises(BadInput, match=r"\.csv or \.parquet"):
        write_table(table, tmp_path / "scores.xlsx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scores.csv", "scores.parquet"]
