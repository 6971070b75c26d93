"""Every bad input that users meet: what the command line says, and with which code it ends."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Holdfast = Callable[..., Any]
GOOD = "user_id,time,event,value\nada,2026-01-05T10:00:00Z,purchase,12.5\nbert,2026-01-06T10:00:00Z,purchase,\n"


def write(folder: Path, text: str | bytes, name: str = "events.csv") -> str:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "events.csv is empty"),
        ("user_id,time,event\n", ""),
        ("customer,time,event\nada,2026-01-05T10:00:00Z,purchase\n", "has no column 'user_id'"),
        ("user_id,time,event\nada,2026-01-05 10:00:00,purchase\n", "--timezone"),
        ("user_id,time,event\nada,20261101,purchase\n", "--time-format"),
        ("user_id,time,event\nada,05/01/2026,purchase\n", "--time-format"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_refused(text: str, words: str, holdfast: Holdfast, tmp_path: Path) -> None:
    said = holdfast("ingest", write(tmp_path, text))
    assert "Traceback" not in said.err
    if words:
        assert said.code == 3
        assert words in said.err


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("ada,2026-01-05T10:00:00Z,purchase,many", "bad_value"),
        ("ada,2026-01-05T10:00:00Z,purchase,inf", "bad_value"),
        ("ada,2999-01-05T10:00:00Z,purchase,1", "future_time"),
        ("ada,1969-01-05T10:00:00Z,purchase,1", "too_old_time"),
        (",2026-01-05T10:00:00Z,purchase,1", "missing_user_id"),
        ("ada,2026-01-05T10:00:00Z,,1", "missing_event"),
        ("ada,2026-01-05T10:00:00Z,purchase", "broken_line"),
    ],
)
def test_a_row_that_is_wrong_goes_to_quarantine_and_the_rest_is_read(
    row: str, code: str, holdfast: Holdfast, tmp_path: Path
) -> None:
    said = holdfast("ingest", write(tmp_path, f"{GOOD}{row}\n"), "--json")
    assert said.code == 0
    found = said.document
    assert (found["read"], found["accepted"], found["quarantined"]) == (3, 2, 1)
    assert found["reasons"] == {code: 1}
    assert "events.csv line 4" in Path(found["quarantine_file"]).read_text()


def test_one_broken_line_in_ten_is_counted(holdfast: Holdfast, tmp_path: Path) -> None:
    lines = [f"ada,2026-01-05T10:{minute:02}:00Z,purchase,1" if minute % 10 else "?" for minute in range(60)]
    found = holdfast(
        "ingest", write(tmp_path, "user_id,time,event,value\n" + "\n".join(lines) + "\n"), "--json"
    ).document
    assert (found["read"], found["accepted"], found["quarantined"]) == (60, 54, 6)


def test_bytes_that_are_not_utf8_are_named(holdfast: Holdfast, tmp_path: Path) -> None:
    said = holdfast(
        "ingest", write(tmp_path, GOOD.encode() + "zoë,2026-01-05T10:00:00Z,purchase,1\n".encode("latin-1"))
    )
    assert "Traceback" not in said.err
    assert "UTF-8" in said.err + said.out or "utf8" in said.out


def test_a_file_read_twice_counts_once(holdfast: Holdfast, tmp_path: Path) -> None:
    name = write(tmp_path, GOOD)
    holdfast("ingest", name)
    again = holdfast("ingest", name, "--json").document
    assert (again["accepted"], again["duplicates"]) == (0, 2)


def test_the_same_event_id_twice_counts_once(holdfast: Holdfast, tmp_path: Path) -> None:
    rows = "user_id,time,event,event_id\nada,2026-01-05T10:00:00Z,purchase,e1\nada,2026-01-05T10:00:00Z,purchase,e1\n"
    found = holdfast("ingest", write(tmp_path, rows), "--json").document
    assert (found["accepted"], found["duplicates"]) == (1, 1)


def test_a_file_of_which_nothing_was_kept_is_bad_input(holdfast: Holdfast, tmp_path: Path) -> None:
    said = holdfast(
        "ingest", write(tmp_path, "user_id,time,event,value\nada,2999-01-05T10:00:00Z,purchase,1\n"), "--json"
    )
    assert said.code == 3
    assert said.document["quarantined"] == 1


def test_columns_have_the_names_that_options_say(holdfast: Holdfast, tmp_path: Path) -> None:
    name = write(tmp_path, "customer,ts,kind,amount\nada,2026-01-05 10:00,purchase,3\n")
    mapping = [
        "--user-id",
        "customer",
        "--time",
        "ts",
        "--event",
        "kind",
        "--value",
        "amount",
        "--timezone",
        "Europe/Berlin",
    ]
    found = holdfast("ingest", name, *mapping, "--json").document
    assert (found["accepted"], found["start"]) == (1, "2026-01-05T09:00:00Z")


def test_what_comes_first_is_said(holdfast: Holdfast, tmp_path: Path) -> None:
    for command in (["train"], ["score"], ["features"], ["at-risk"]):
        said = holdfast(*command)
        assert said.code == 4, command
        assert "holdfast " in said.err
    holdfast("ingest", write(tmp_path, GOOD))
    said = holdfast("score")
    assert said.code == 4
    assert "holdfast train" in said.err


def test_a_kind_that_the_log_has_not_got_is_bad_input(holdfast: Holdfast, tmp_path: Path) -> None:
    holdfast("ingest", write(tmp_path, GOOD))
    said = holdfast("train", "--activity", "purchse")
    assert said.code == 3
    assert "'purchse'" in said.err
    assert "'purchase'" in said.err


def test_a_log_that_is_too_short_to_train_on_is_said(holdfast: Holdfast, tmp_path: Path) -> None:
    holdfast("ingest", write(tmp_path, GOOD))
    said = holdfast("train")
    assert said.code == 3
    assert "Traceback" not in said.err


def test_a_cutoff_outside_the_log_is_bad_input(holdfast: Holdfast, tmp_path: Path) -> None:
    holdfast("ingest", write(tmp_path, GOOD))
    said = holdfast("features", "--cutoff", "2027-01-01")
    assert said.code == 3
    assert "lies outside the log" in said.err
    assert holdfast("features", "--cutoff", "20270101").code == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_said_and_the_log_stays_as_it_was(holdfast: Holdfast, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this container may not mount a tmpfs")
    try:
        assert holdfast("ingest", write(tmp_path, GOOD), "--data-dir", str(small / "data")).code == 0
        rows = "".join(f"user{n},2026-01-05T10:00:00Z,purchase,{n * 1.37}\n" for n in range(60_000))
        said = holdfast(
            "ingest", write(tmp_path, "user_id,time,event,value\n" + rows), "--data-dir", str(small / "data")
        )
        assert said.code == 74
        assert "no room on the disk" in said.err
        again = holdfast("ingest", write(tmp_path, GOOD), "--data-dir", str(small / "data"), "--json").document
        assert (again["accepted"], again["duplicates"]) == (0, 2)
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_spreadsheets_utf_16_is_told_how_to_become_utf_8(holdfast: Holdfast, tmp_path: Path) -> None:
    said = holdfast("ingest", write(tmp_path, GOOD.encode("utf-16")))
    assert said.code == 3
    assert "iconv -f UTF-16 -t UTF-8" in said.err


def test_a_log_with_a_broken_commit_is_damage_told_in_one_line(holdfast: Holdfast, tmp_path: Path) -> None:
    holdfast("ingest", write(tmp_path, GOOD))
    commit = tmp_path / "holdfast-data" / "events" / "_delta_log" / "00000000000000000001.json"
    commit.write_text("{bad")
    said = holdfast("features")
    assert said.code == 6
    assert "cannot be opened" in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_no_probability_is_no_list(holdfast: Holdfast) -> None:
    said = holdfast("at-risk", "--minimum", "nan")
    assert said.code == 3
    assert "--minimum is nan" in said.err


def test_a_csv_list_does_not_go_by_the_name_of_parquet(holdfast: Holdfast, tmp_path: Path) -> None:
    said = holdfast("at-risk", "--to", "list.parquet")
    assert said.code == 3
    assert "expected a name that ends in .csv" in said.err
    assert not (tmp_path / "list.parquet").exists()


def test_a_number_below_zero_is_refused_whatever_it_is_for(holdfast: Holdfast) -> None:
    for command, option, name in (("train", "--max-cutoffs", "max_cutoffs"), ("features", "--threads", "threads")):
        said = holdfast(command, option, "-1")
        assert said.code == 3
        assert f"{name} is -1; expected 0 or more" in said.err
