"""`holdfast check`, and what `holdfast train` makes of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.said import Said

Holdfast = Callable[..., Said]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Ninety shoppers over half a year; some stop coming."""
    import random  # noqa: PLC0415
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    dice, begin = random.Random(3), datetime(2026, 1, 1, tzinfo=UTC)  # noqa: S311 no secret
    lines = ["user_id,time,event,value"]
    for number in range(90):
        day, gone = dice.uniform(0, 20), dice.expovariate(1 / 200)
        while day < min(180, gone):
            lines.append(f"u{number},{(begin + timedelta(days=day)).isoformat()},purchase,{dice.randrange(9, 90)}")
            day += dice.expovariate(1 / 4) + 0.01
    path = tmp_path / "events.csv"
    path.write_text("\n".join(lines))
    return path


SPANS = ("--look-back", "28d", "--horizon", "14d")


def test_a_log_that_is_fit_is_told_what_it_holds(holdfast: Holdfast, shop: Path) -> None:
    assert holdfast("ingest", str(shop)).code == 0
    said = holdfast("check", *SPANS)
    assert said.code == 0, said.err
    assert "WARNING  there are only " in said.out
    assert "canary                    clean  " in said.out
    assert said.out.endswith("Nothing has to be mended first. Next: holdfast train\n")


def test_the_document_holds_remarks_cutoffs_and_checks(holdfast: Holdfast, shop: Path) -> None:
    holdfast("ingest", str(shop))
    document = holdfast("check", *SPANS, "--json").document
    assert document["fit"] is True
    assert {each["code"] for each in document["readiness"]["remarks"]} >= {"few_users", "season", "late_data"}
    assert {each["check"] for each in document["leakage"]} == {"canary", "kinds of the end"}


def test_a_stray_event_stops_both_with_the_cutoff_to_take(holdfast: Holdfast, shop: Path) -> None:
    shop.write_text(shop.read_text() + "\nu1,2026-10-30T10:00:00Z,purchase,5")
    holdfast("ingest", str(shop))
    said = holdfast("check", *SPANS)
    assert said.code == 1
    behind = "but what lies behind it (1 event up to 2026-10-30) moves its end"
    assert f"ERROR    the log's bulk ends on 2026-06-29, {behind}" in said.out
    assert said.out.endswith("1 to mend.\n")
    refused = holdfast("train", *SPANS)
    assert refused.code == 3
    assert "train with --cutoff 2026-06-16" in refused.err


def test_a_short_history_is_said_and_not_looked_into(holdfast: Holdfast, shop: Path) -> None:
    holdfast("ingest", str(shop))
    said = holdfast("check", "--look-back", "90d", "--horizon", "60d", "--json")
    assert said.code == 1
    assert said.document["leakage"] == []
    assert said.document["readiness"]["remarks"][0]["code"] == "history"


def test_a_training_shows_and_keeps_what_was_remarked(holdfast: Holdfast, shop: Path) -> None:
    holdfast("ingest", str(shop))
    said = holdfast("train", *SPANS, "--trees", "20", "--replicates", "50", "--json")
    assert said.code in {0, 1}, said.err
    document = said.document
    assert "few_users" in {each["code"] for each in document["readiness"]["remarks"]}
    assert len(document["leakage"]) == 6
    assert "a spline regression alone" in document["recipe"]
