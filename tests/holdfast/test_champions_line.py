"""Compare, promote, force and roll back by command, in front of a service that is running."""

import contextlib
import csv
import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.errors import Busy
from features.windows import utc
from holdfast import config, steps
from holdfast.session import Session
from models.registry import Registry, quiet_mlflow, sqlite_uri
from serving.store import ScoreStore
from tests.live import Live, live
from tests.said import here

SMALL = ["--max-cutoffs", "6", "--trees", "40", "--replicates", "50", "--horizon", "14d", "--look-back", "28d"]
POOR = """
from features.language import days, events, feature_set
MINE = feature_set(spend=events().total(last=days(56)).says("{:.0f} spent"))
"""
USERS, DAYS = 1500, 240


def write_events(file: Path) -> None:
    """Users who come at a pace of their own and slow down before they stop."""
    dice = random.Random(7)  # noqa: S311 no secret
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["user_id", "time", "event", "value"])
        for user in range(USERS):
            pace, day = 1.5 * 8 ** dice.random(), dice.uniform(0, 200)
            leaves = day + dice.expovariate(1 / 150)
            while day < min(leaves, DAYS):
                when = (begin + timedelta(days=day)).isoformat()
                rows.writerow([f"user{user}", when, "visit", round(dice.uniform(1, 90), 2)])
                day += dice.expovariate(1 / pace) + 0.01


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 serves and has scored; 2 is the same with another seed, 3 knows the spend alone."""
    folder = tmp_path_factory.mktemp("shop")
    write_events(folder / "events.csv")
    (folder / "poor.py").write_text(POOR)
    for arguments in (
        ["ingest", "events.csv"],
        ["train", "--promote", *SMALL],
        ["train", "--no-promote", "--seed", "1", *SMALL],
        ["train", "--promote", "--features", "poor.py", *SMALL],
        ["rollback", "--reason", "set up", "--no-score"],
        ["score"],
    ):
        said = here(*arguments, folder=folder)
        assert said.code == 0 or arguments[0] in {"rollback", "train"}, said.err
    assert champion(folder) == "1"
    return folder


def registry(folder: Path) -> Registry:
    return Registry(sqlite_uri(folder / "holdfast-data" / "mlflow.db"), "holdfast")


def champion(folder: Path) -> str | None:
    return registry(folder).champion_version()


def history(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = here("promote", "--history", "--json", folder=folder).document["champions"]
    return found


def failed(document: dict[str, Any]) -> set[str]:
    return {check["name"] for check in document["checks"] if not check["passed"]}


def test_a_comparison_changes_nothing_and_says_every_check(shop: Path) -> None:
    before = history(shop)
    found = here("compare", "1", "3", "--json", folder=shop)
    assert (found.code, found.document["passed"]) == (1, False)
    assert {"log_loss", "recall_at_capacity"} <= failed(found.document)
    text = here("compare", "champion", "3", folder=shop).out
    assert "FAIL  log_loss: log loss 0." in text
    assert "Version 3 does not pass the gate: " in text
    assert (history(shop), champion(shop)) == (before, "1")


def test_two_names_of_one_version_cannot_be_compared(shop: Path) -> None:
    found = here("compare", "1", "champion", folder=shop)
    assert (found.code, "both version 1" in found.err) == (3, True)
    assert here("compare", "1", "latest", folder=shop).code == 3


def test_a_refused_promotion_ends_with_1_and_its_verdict_is_kept(shop: Path) -> None:
    found = here("promote", "3", "--json", folder=shop)
    assert (found.code, found.document["promoted"], found.document["change"]) == (1, False, None)
    assert champion(shop) == "1"
    with quiet_mlflow(registry(shop).tracking_uri) as client:
        kept = json.loads(client.get_model_version("holdfast", "3").tags["gate"])
    assert kept == found.document["verdict"] | {"promoted": False, "forced": False, "reason": ""}


@pytest.mark.parametrize(
    "arguments",
    [
        ["promote", "3", "--force"],
        ["promote", "3", "--force", "--reason", " "],
        ["promote"],
        ["promote", "3", "--history"],
        ["rollback"],
    ],
)
def test_force_and_rollback_need_a_reason_and_a_promotion_a_version(shop: Path, arguments: list[str]) -> None:
    assert here(*arguments, folder=shop).code == 2
    assert champion(shop) == "1"


def test_force_with_a_reason_promotes_and_a_rollback_brings_model_and_scores_back_under_load(shop: Path) -> None:
    forced = here("promote", "3", "--force", "--reason", "agreed with sales", "--json", folder=shop)
    assert (forced.code, champion(shop)) == (0, "3")
    assert forced.document["change"] | {"at": ""} == {
        "version": "3", "at": "", "how": "forced", "reason": "agreed with sales", "before": "1",
    }  # fmt: skip
    with live(shop / "holdfast-data" / "store.db") as service, asking(service) as answers:
        assert here("score", folder=shop).code == 0
        assert now_served(service) == "3"
        begin = time.monotonic()
        back = here("rollback", "--reason", "the list was odd", "--json", folder=shop)
        assert time.monotonic() - begin < 60
        assert (back.code, now_served(service), champion(shop)) == (0, "1", "1")
    assert back.document["served_run_was_kept"] is True
    assert back.document["seconds"] < 60
    assert set(answers) == {frozenset({"1"}), frozenset({"3"})}  # each answer of one version
    last = history(shop)[-2:]
    assert [(one["version"], one["how"], one["reason"]) for one in last] == [
        ("3", "forced", "agreed with sales"),
        ("1", "rollback", "the list was odd"),
    ]
    assert "agreed with sales" in here("promote", "--history", folder=shop).out


def test_a_former_champion_without_kept_scores_scores_at_once(shop: Path) -> None:
    assert here("promote", "2", "--force", "--reason", "to see", folder=shop).code == 0
    assert here("rollback", "--reason", "seen", folder=shop).code == 0
    waits = here("rollback", "--to", "2", "--reason", "again", "--no-score", "--json", folder=shop)
    assert (waits.code, champion(shop)) == (1, "2")
    assert "no scores of version 2 are kept" in waits.document["trouble"]
    assert served_run(shop) == ("1", "2")
    assert here("rollback", "--reason", "back", folder=shop).code == 0
    found = here("rollback", "--to", "2", "--reason", "for good", "--json", folder=shop)
    assert (found.code, found.document["served_run_was_kept"]) == (0, False)
    assert served_run(shop) == ("2", "2")
    assert here("rollback", "--to", "1", "--reason", "tidy up", folder=shop).code == 0


def test_who_never_was_champion_is_not_rolled_back_to(shop: Path) -> None:
    assert here("train", "--no-promote", "--seed", "2", *SMALL, folder=shop).code in {0, 1}
    found = here("rollback", "--to", "4", "--reason", "why not", folder=shop)
    assert (found.code, "never been champion" in found.err) == (3, True)


def test_a_damaged_bundle_is_not_promoted_by_force_either(shop: Path) -> None:
    model = registry(shop).bundle("2") / "model.json"
    healthy = model.read_text()
    model.write_text(healthy + " ")
    refused = here("promote", "2", "--json", folder=shop)
    forced = here("promote", "2", "--force", "--reason", "I insist", folder=shop)
    model.write_text(healthy)
    assert (refused.code, failed(refused.document["verdict"])) == (1, {"golden_rows"})
    assert (forced.code, champion(shop)) == (6, "1")


def test_another_definition_is_not_comparable(shop: Path) -> None:
    said = here("train", "--no-promote", "--json", *SMALL, "--horizon", "10d", folder=shop)
    found = here("promote", said.document["model_version"], folder=shop)
    assert found.code == 1
    assert "FAIL  definition: they are not comparable" in found.out


def test_a_training_beside_a_champion_goes_through_the_gate(shop: Path) -> None:
    said = here("train", "--json", *SMALL, folder=shop)
    gate = said.document["gate"]
    assert gate["champion"] == "1"
    assert said.document["promoted"] is gate["passed"] is (said.code == 0)
    assert champion(shop) == (said.document["model_version"] if gate["passed"] else "1")
    poor = here("train", "--features", "poor.py", *SMALL, folder=shop)
    assert poor.code == 1
    here("rollback", "--to", "1", "--reason", "tidy up", folder=shop)


def test_scores_of_a_model_that_is_no_longer_champion_are_not_shown(shop: Path) -> None:
    session = Session(
        config.resolve({}, environment={}, folder=shop, file=None), as_json=True, now=datetime(2026, 9, 1, tzinfo=UTC)
    )
    store = ScoreStore.open(session.store_url)
    current = store.current_run()
    assert current is not None
    scores = [one for page in [store.at_risk(limit=5)] if page for one in page.scores]
    with pytest.raises(Busy, match="became champion while version 77 was scoring"):
        steps.keep_run(session, replace(current.facts, model_version="77"), as_written(scores), outside=[])
    after = store.current_run()
    store.close()
    assert after is not None
    assert after.run_id == current.run_id
    assert utc("2026-01-01") < after.facts.cutoff


def as_written(scores: list[Any]) -> list[Any]:
    from serving.store import Score  # noqa: PLC0415 only here

    return [Score(one.user_id, one.churn_probability, one.percentile, one.risk_tier, ()) for one in scores]


def served_run(folder: Path) -> tuple[str, str | None]:
    """The version whose scores are served, and the champion."""
    document = here("at-risk", "--json", folder=folder).document
    return document["model_version"], champion(folder)


def now_served(service: Live) -> str:
    with service.client() as client:
        return str(client.get("/v1/users/at-risk?limit=1").json()["scores"][0]["model_version"])


@contextlib.contextmanager
def asking(service: Live) -> Iterator[list[frozenset[str]]]:
    """The versions in each answer to clients that ask all the time."""
    stop, answers = threading.Event(), list[frozenset[str]]()

    def ask() -> None:
        body = {"user_ids": [f"user{number}" for number in range(USERS)]}
        with service.client() as client:
            while not stop.is_set():
                for answer in (client.post("/v1/scores/lookup", json=body), client.get("/v1/users/at-risk?limit=200")):
                    answers.append(frozenset(one["model_version"] for one in answer.json()["scores"]))

    readers = [threading.Thread(target=ask) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        yield answers
    finally:
        stop.set()
        for reader in readers:
            reader.join()
