"""A benchmark run again renews its figures and keeps the words."""

from pathlib import Path

from benchmarks.pages import BY_HAND, write


def test_what_was_written_by_hand_stays_below_new_figures(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    write("1 of 20\n", page)
    assert page.read_text() == "1 of 20\n"
    page.write_text(f"1 of 20\n\n{BY_HAND}\n\nIt is rare.\n")
    write("2 of 20\n", page)
    assert page.read_text() == f"2 of 20\n\n{BY_HAND}\n\nIt is rare.\n"
