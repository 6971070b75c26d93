"""What the command line says of data as real logs have it, where nobody or hardly anybody is left to learn from."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from features.windows import iso, shift, utc

Holdfast = Callable[..., Any]
SHORT = ("--look-back", "28d", "--horizon", "14d")


def at(day: float) -> str:
    return iso(shift(utc("2026-01-01"), timedelta(days=day)))


def write(folder: Path, rows: Iterable[tuple[str, str, str]], name: str = "events.csv") -> str:
    lines = ["user_id,time,event", *(",".join(row) for row in rows)]
    (folder / name).write_text("\n".join(lines) + "\n", "utf-8")
    return name


def test_a_log_of_one_user_who_never_leaves_is_nothing_to_learn_from(holdfast: Holdfast, tmp_path: Path) -> None:
    holdfast("ingest", write(tmp_path, [("ada", at(2.1 * n), "visit") for n in range(80)]))
    said = holdfast("train", *SHORT)
    assert said.code == 3
    assert "the only user stayed at each of" in said.err
    assert "take a shorter --horizon" in said.err


def test_a_log_of_one_event_is_too_short_and_says_how_much_is_needed(holdfast: Holdfast, tmp_path: Path) -> None:
    holdfast("ingest", write(tmp_path, [("ada", at(3), "visit")]))
    said = holdfast("train")
    assert said.code == 3
    assert "expected at least 150 (look-back 60d + 3 x lead time and horizon 30d" in said.err


def test_nobody_in_the_population_is_told_with_what_to_change(holdfast: Holdfast, tmp_path: Path) -> None:
    rows = [(f"user{user}", at(day), "purchase") for user in range(9) for day in range(user, 90, 2)]
    holdfast("ingest", write(tmp_path, [*rows, ("ada", at(200), "mailing")]))
    said = holdfast("train", "--activity", "purchase", *SHORT)
    assert said.code == 3
    assert "the log's bulk ends on 2026-03-31, but what lies behind it (1 event up to 2026-07-20) moves" in said.err
    assert "--cutoff 2026-04-01" in said.err
    built = holdfast("features", "build", "--to", "snapshots", "--activity", "purchase", "--json")
    assert built.document["rows"] == 0
    told = holdfast("features", "--activity", "purchase").out
    assert "of 0 users" in told
    assert "Nobody is in the population then; expected another --cutoff, a longer --look-back" in told


def test_a_file_of_which_nothing_is_usable_leaves_an_empty_log_that_is_said(holdfast: Holdfast, tmp_path: Path) -> None:
    rows = [("", at(1), "visit"), ("ada", at(1), "$visit"), ("ada", "1970-01-01T00:00:00Z", "visit")]
    said = holdfast("ingest", write(tmp_path, rows))
    assert said.code == 3
    assert "Read 3 rows: 0 new events, 0 duplicates, 3 in quarantine." in said.out
    assert "missing_user_id 1, reserved_event 1, too_old_time 1" in said.out
    for command in (["features", "build", "--to", "snapshots"], ["train"]):
        refused = holdfast(*command)
        assert refused.code == 4
        assert "is empty. Import some events first: holdfast ingest FILE" in refused.err


def test_a_bot_is_named_and_its_share_of_the_events_told(holdfast: Holdfast, tmp_path: Path) -> None:
    people = [(f"user{user}", at(day), "visit") for user in range(9) for day in range(20)]
    bot = [("crawler 🤖", at(9 + second / 86_400), "visit") for second in range(1500)]
    holdfast("ingest", write(tmp_path, [*people, *bot]))
    said = holdfast("features", "bots", "--ids")
    assert said.code == 0
    assert "crawler 🤖" in said.out
    assert "user1" not in said.out
    (beyond,) = [one for one in holdfast("features", "bots", "--json").document["beyond"] if one["limit"] == 1000]
    assert beyond == {"limit": 1000, "users": 1, "events": 1500}
