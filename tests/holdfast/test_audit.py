"""`holdfast audit`: who read what, on the screen and as a file."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features.windows import to_microseconds, utc
from serving.store import ScoreStore
from serving.store.audit import Reading

Holdfast = Callable[..., Any]


@pytest.fixture
def noted(tmp_path: Path) -> None:
    (tmp_path / "holdfast-data").mkdir()
    store = ScoreStore.open(f"sqlite:///{tmp_path / 'holdfast-data' / 'store.db'}")
    key = store.create_key("crm", ["scores:read"], now=utc("2026-06-01")).key
    for day, user_ids in (("2026-06-02", ["ada"]), ("2026-06-03", ["ada", "bert"]), ("2026-06-04", ["chen"])):
        route = "POST /v1/scores/lookup" if len(user_ids) > 1 else "GET /v1/users/{user_id}/score"
        at = to_microseconds(utc(day))
        store.add_readings([Reading(at, "", key.prefix, route, 200, user_ids, 7, f"request-{day}")])
    store.close()


@pytest.mark.usefixtures("noted")
def test_the_audit_says_who_read_what_newest_first(holdfast: Holdfast) -> None:
    said = holdfast("audit")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == ["2026-06-04", "2026-06-03", "2026-06-02"]
    assert "crm  POST /v1/scores/lookup" in said.out
    assert "ada" not in said.out
    assert len(holdfast("audit", "--top", "1", "--json").document["entries"]) == 1


@pytest.mark.usefixtures("noted")
def test_who_looked_at_a_person_is_asked_by_id_and_time(holdfast: Holdfast) -> None:
    found = holdfast("audit", "--user", "ada", "--since", "2026-06-03", "--json").document["entries"]
    assert [(entry["request_id"], entry["users"]) for entry in found] == [("request-2026-06-03", 2)]
    assert "no such entry" in holdfast("audit", "--user", "dalia").out
    assert "no such entry" in holdfast("audit", "--key", "mail").out


@pytest.mark.usefixtures("noted")
def test_the_audit_is_exported_whole(holdfast: Holdfast, tmp_path: Path) -> None:
    assert "Wrote 3 entries" in holdfast("audit", "--to", "audit.csv", "--top", "1").out
    rows = list(csv.DictReader((tmp_path / "audit.csv").open(newline="")))
    assert [row["key_name"] for row in rows] == ["crm"] * 3
    holdfast("audit", "--until", "2026-06-03", "--to", "audit.ndjson")
    lines = [json.loads(line) for line in (tmp_path / "audit.ndjson").read_text().splitlines()]
    assert [(line["at"], line["run_id"], line["users"]) for line in lines] == [("2026-06-02T00:00:00Z", 7, 1)]
    assert holdfast("audit", "--to", "audit.xlsx").code == 3
