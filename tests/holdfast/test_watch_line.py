"""`holdfast watch` and `holdfast cycle` by command: the first day, known outcomes, faults, and where it is told."""

import csv
import http.server
import json
import random
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.said import here

SMALL = ["--max-cutoffs", "6", "--trees", "30", "--replicates", "50", "--horizon", "14d", "--look-back", "28d"]
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
USERS, FIRST, LATER = 600, 170, 200  # days: until the training, and until outcomes are known


def day(number: int) -> str:
    return (BEGIN + timedelta(days=number)).isoformat()


def write_events(folder: Path, *, slower_from: float = LATER) -> None:
    """Users who come at a pace of their own and leave; `first.csv` until the training, `later.csv` what came then.

    From a day on everybody comes at a quarter of his pace.
    """
    dice = random.Random(7)  # noqa: S311 no secret
    files = [(folder / name).open("w", newline="") for name in ("first.csv", "later.csv")]
    writers = [csv.writer(file) for file in files]
    for writer in writers:
        writer.writerow(["user_id", "time", "event", "value"])
    for user in range(USERS):
        pace, when = 1 + dice.expovariate(1 / 3), dice.uniform(0, 120)
        leaves = when + dice.expovariate(1 / 120)
        while when < min(leaves, LATER):
            moment = (BEGIN + timedelta(days=when)).isoformat()
            writers[when >= FIRST].writerow([f"user{user}", moment, "visit", round(dice.uniform(1, 90), 2)])
            when += dice.expovariate(1 / pace) * (4 if when >= slower_from else 1) + 0.01
    for file in files:
        file.close()


def levels(document: dict[str, Any]) -> dict[str, str]:
    return {finding["code"]: finding["level"] for finding in document["findings"]}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Looked at on the first day, trained, and taken through a cycle before and after outcomes are known."""
    folder = tmp_path_factory.mktemp("shop")
    write_events(folder)
    said = here("ingest", "first.csv", folder=folder)
    assert said.code == 0, said.err
    looks = {"no_model": here("watch", "--at", day(FIRST), "--json", folder=folder)}
    said = here("train", "--promote", *SMALL, folder=folder)
    assert "is the champion now" in said.out, said.err
    options = ["--retrain", "never", "--json", *SMALL[-4:]]
    looks["first"] = here("cycle", *options, "--at", day(FIRST), folder=folder)
    looks["later"] = here("cycle", "later.csv", *options, "--at", day(LATER), "--to", "told", folder=folder)
    for name, look in looks.items():
        assert look.code in {0, 1}, look.err
        (folder / f"{name}.json").write_text(look.out)
    return folder


def looked(shop: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((shop / f"{name}.json").read_text())
    return document


def test_without_a_model_the_log_is_looked_at(shop: Path) -> None:
    found = looked(shop, "no_model")
    assert (found["model_version"], levels(found)["no_model"], levels(found)["fresh"]) == (None, "advice", "ok")


def test_before_any_outcome_is_known_the_watch_says_when_there_will_be_one(shop: Path) -> None:
    found = looked(shop, "first")["watched"]
    assert {"no_labels", "estimate", "scores", "base_rate"} <= levels(found).keys()
    (unknown,) = [each["found"] for each in found["findings"] if each["code"] == "no_labels"]
    assert "the first will be known on 2026-07-0" in unknown


def test_recorded_scores_are_held_against_what_happened(shop: Path) -> None:
    done = looked(shop, "later")
    assert (done["ingested"]["accepted"] > 0, done["scored"]["users"] > 0, done["trained"]) == (True, True, None)
    (quality,) = [each for each in done["watched"]["findings"] if each["code"] == "quality"]
    assert quality["figures"]["all"]["rows"] == looked(shop, "first")["scored"]["users"]
    assert quality["figures"]["promised_auc"] > 0.5
    assert {"log_loss", "level", "score_drift"} <= levels(done["watched"]).keys()


def test_the_page_and_the_document_say_the_same(shop: Path) -> None:
    page = (shop / "told" / "watch.html").read_text()
    document = json.loads((shop / "told" / "watch.json").read_text())
    watched = looked(shop, "later")["watched"]
    assert document == {name: value for name, value in watched.items() if name not in {"files", "webhook_trouble"}}
    assert page.count("<tr class=") == len(document["findings"])
    assert "http" not in page.lower().replace("<!doctype html>", "")


def test_a_log_that_nobody_feeds_any_more_is_an_alarm_and_no_reason_to_train(shop: Path) -> None:
    said = here("watch", "--at", day(LATER + 12), "--json", "--prometheus", "watch.prom", folder=shop)
    assert (said.code, levels(said.document)["stale"]) == (1, "alarm")
    assert said.document["retrain_called_for"] is False
    lines = (shop / "watch.prom").read_text().splitlines()
    assert 'holdfast_watch_finding{code="stale"} 3' in lines
    assert "holdfast_watch_level 3" in lines
    names = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert len(names) == len(set(names))


def test_findings_are_posted_and_a_deaf_webhook_stops_nothing(shop: Path) -> None:
    heard = []

    class Chat(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 the library's name
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Chat) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/hook"
        said = here("watch", "--at", day(LATER), "--webhook", address, "--json", folder=shop)
        server.shutdown()
    assert said.document["webhook_trouble"] is None
    assert heard[0]["findings"] == said.document["findings"]
    said = here("watch", "--at", day(LATER), "--webhook", address, folder=shop)
    assert (said.code, "the webhook was not reached" in said.out) == (0, True)


def test_a_webhook_that_is_no_address_is_refused_before_anything_is_done(shop: Path) -> None:
    said = here("cycle", "--webhook", "file:///etc/passwd", folder=shop)
    assert (said.code, "expected an address that begins with https://" in said.err) == (3, True)


def test_without_a_log_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    assert here("watch", folder=tmp_path).code == 4


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with a champion, whose users then all come far more rarely than when it was learnt."""
    folder = tmp_path_factory.mktemp("changed")
    write_events(folder, slower_from=FIRST - 20)
    assert here("ingest", "first.csv", folder=folder).code == 0
    said = here("train", "--promote", "--cutoff", day(FIRST - 40), *SMALL, folder=folder)
    assert "is the champion now" in said.out, said.err
    return folder


def test_a_cycle_that_finds_the_model_unfit_trains_a_challenger_by_itself(changed: Path) -> None:
    options = ["--at", day(LATER), "--json", *SMALL]
    said = here("cycle", "later.csv", *options, folder=changed)
    found = said.document
    assert "retrain" in levels(found["watched"]), levels(found["watched"])
    assert found["watched"]["retrain_called_for"] is True
    assert found["trained"]["model_version"] == "2"
    assert found["trained"]["gate"]["champion"] == "1"
    held = here("promote", "--history", "--json", folder=changed).document["champions"]
    promoted = found["trained"]["promoted"]
    assert [each["version"] for each in held] == (["1", "2"] if promoted else ["1"])
    assert (found["scored_again"] is not None) is promoted
    assert here("compare", "champion", "challenger", folder=changed).code in {0, 1} or promoted


def test_a_retrained_model_becomes_champion_through_the_gate_alone(shop: Path) -> None:
    said = here("cycle", "--retrain", "always", "--at", day(LATER), "--json", *SMALL, folder=shop)
    trained = said.document["trained"]
    assert trained["model_version"] == "2", said.err
    passed = trained["gate"] is not None and trained["gate"]["passed"]
    assert trained["promoted"] is passed
    assert (said.document["scored_again"] is not None) is passed
