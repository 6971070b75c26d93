"""The whole line, command by command, on a small log: ingest, train, score, list, serve, and what disturbs them."""

import csv
import json
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from tests.said import Said, here

USERS = 240
DAYS = 240
SMALL = ["--max-cutoffs", "6", "--trees", "20", "--replicates", "20", "--horizon", "14d", "--look-back", "28d"]
TALKATIVE = """
from holdfast import progress
progress.QUIET_SECONDS = 0  # stages are told as soon as they begin
from holdfast.__main__ import main
main()
"""


def spawn(*arguments: str, folder: Path) -> "subprocess.Popen[str]":
    """A command started in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "holdfast", *arguments],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def events(folder: Path) -> Path:
    """Users who buy now and then, a third of whom stop somewhere."""
    dice = random.Random(7)  # noqa: S311 no secret
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    file = folder / "events.csv"
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["user_id", "time", "event", "value"])
        for user in range(USERS):
            last = DAYS if user % 3 else dice.uniform(30, DAYS)
            day = dice.uniform(0, 20)
            while day < last:
                rows.writerow(
                    [
                        f"user{user}",
                        (begin + timedelta(days=day)).isoformat(),
                        "purchase",
                        round(dice.uniform(1, 90), 2),
                    ]
                )
                day += dice.expovariate(1 / (3 + user % 9))
    return file


def finish(started: "subprocess.Popen[str]", *, seconds: float = 120) -> Said:
    out, err = started.communicate(timeout=seconds)
    return Said(started.returncode, out, err)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which events were read, a model was trained and everybody was scored."""
    folder = tmp_path_factory.mktemp("shop")
    for arguments in (
        ["ingest", str(events(folder))],
        ["train", "--promote", *SMALL],
        ["score", "--to", "scores.csv"],
    ):
        said = here(*arguments, folder=folder)
        assert said.code == 0, said.err
    return folder


def test_the_file_of_scores_has_a_row_a_user_with_reasons(shop: Path) -> None:
    with (shop / "scores.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {"user_id", "churn_probability", "percentile", "tier", "reasons", "cutoff", "model_version"} <= rows[
        0
    ].keys()
    assert len({row["user_id"] for row in rows}) == len(rows) > USERS / 2
    assert all(0 <= float(row["churn_probability"]) <= 1 and row["reasons"] for row in rows)


def test_everything_that_was_made_lies_in_the_data_folder(shop: Path) -> None:
    assert {path.name for path in shop.iterdir()} == {"events.csv", "scores.csv", "holdfast-data"}


def test_the_list_is_sorted_by_risk_and_safe_to_open(shop: Path) -> None:
    listed = here("at-risk", "--top", "5", "--json", folder=shop).document["users"]
    risks = [user["churn_probability"] for user in listed]
    assert len(risks) == 5
    assert risks == sorted(risks, reverse=True)
    assert here("at-risk", "--top", "7", "--tier", "high", "--to", "list.csv", folder=shop).code == 0
    written = (shop / "list.csv").read_text().splitlines()
    (shop / "list.csv").unlink()
    assert len(written) == 8


def test_a_file_can_be_scored_for_without_changing_what_is_served(shop: Path) -> None:
    said = here("score", "--cutoff", "2026-06-01", "--to", "past.parquet", "--no-run", "--json", folder=shop)
    (shop / "past.parquet").unlink()
    assert said.document["run_id"] is None
    assert here("at-risk", "--json", folder=shop).document["run_id"] == 1


def test_reasons_can_be_told_in_chinese(shop: Path) -> None:
    said = here("score", "--to", "zh.csv", "--no-run", "--language", "zh", folder=shop)
    assert said.code == 0, said.err
    assert any("\u4e00" <= letter <= "\u9fff" for letter in (shop / "zh.csv").read_text("utf-8"))
    (shop / "zh.csv").unlink()
    wrong = here("score", "--language", "de", folder=shop)
    assert (wrong.code, "expected en or zh" in wrong.err) == (3, True)


def test_spark_scores_as_the_machine_does(shop: Path) -> None:
    local = here("score", "--to", "local.parquet", "--no-run", "--json", folder=shop).document
    command = ["score", "--to", "on-spark", "--no-run", "--engine", "spark", "--language", "zh", "--json"]
    spark = here(*command, folder=shop)
    written = json.dumps(ds.dataset(shop / "on-spark").to_table()["reasons"].to_pylist(), ensure_ascii=False)
    shutil.rmtree(shop / "on-spark", ignore_errors=True)
    (shop / "local.parquet").unlink()
    assert spark.code == 0, spark.err
    same = ("users", "outside_population", "tiers", "cutoff", "model_version")
    assert {name: spark.document[name] for name in same} == {name: local[name] for name in same}
    assert "天" in written
    assert spark.document["mean_churn_probability"] == pytest.approx(local["mean_churn_probability"])


def test_the_features_of_the_champion_can_be_compared(shop: Path) -> None:
    found = here("features", "diff", "champion", "standard", "--json", folder=shop).document
    assert found["same_meaning"] is True


def test_the_features_of_a_model_that_does_not_serve_are_found_by_its_number(shop: Path) -> None:
    (shop / "mine.py").write_text(
        "from features.language import events, feature_set\n"
        'MINE = feature_set(seen=events().days_since_last().says("last seen {:.0f} days ago"))\n'
    )
    found = here("features", "diff", "1", "mine.py", "--json", folder=shop).document
    (shop / "mine.py").unlink()
    assert (found["before"]["features"] > 20, found["after"]["features"]) == (True, 1)
    assert here("features", "diff", "1", "champion", "--json", folder=shop).document["same_meaning"] is True
    unknown = here("features", "diff", "1", "99", folder=shop)
    assert unknown.code == 3
    assert "there is no version 99 of holdfast; expected one of 1" in unknown.err


def test_the_dictionary_has_shares(shop: Path) -> None:
    found = here("features", "--look-back", "28d", "--json", folder=shop).document["features"]
    assert len(found) > 20
    assert all(0 <= feature["share_with_value"] <= 1 and "{" not in feature["sentence"] for feature in found)


def test_a_feature_set_of_the_users_own_is_used(shop: Path) -> None:
    own = shop / "own.py"
    own.write_text(
        "from features.language import events, feature_set\n"
        'MINE = feature_set(seen=events().days_since_last().says("last seen {:.0f} days ago"))\n'
    )
    found = here("features", "--features", "own.py", "--json", folder=shop).document["features"]
    own.write_text("from features.language import nothing\n")
    wrong = here("features", "--features", "own.py", folder=shop)
    own.unlink()
    assert [feature["sentence"] for feature in found] == ["last seen N days ago"]
    assert wrong.code == 3
    assert "own.py line 1: ImportError" in wrong.err


def test_a_feature_of_a_kind_that_the_log_has_not_got_is_named_and_not_counted_as_zero(shop: Path) -> None:
    own = shop / "typo.py"
    own.write_text("from features.language import events, feature_set\nMINE = feature_set(n=events('vist').count())\n")
    wrong = here("features", "--features", "typo.py", folder=shop)
    own.unlink()
    assert wrong.code == 3
    assert "no events of kind 'vist'; expected" in wrong.err
    assert "typo.py to name some of" in wrong.err


def test_the_doctor_is_content(shop: Path) -> None:
    said = here("doctor", "--json", "--port", "0", folder=shop)
    assert said.code == 0, said.out
    found = {finding["check"]: finding["state"] for finding in said.document["findings"]}
    assert (found["event log"], found["model"]) == ("ok", "ok")


def test_the_api_answers_and_stops_gently(shop: Path) -> None:
    made = here("keys", "create", "--name", "crm", "--scope", "scores:read", "--json", folder=shop).document
    port = free_port()
    server = spawn("serve", "--port", str(port), folder=shop)
    try:
        user = here("at-risk", "--top", "1", "--json", folder=shop).document["users"][0]
        score = ask(f"http://127.0.0.1:{port}/v1/users/{user['user_id']}/score", made["token"])
        with pytest.raises(urllib.error.HTTPError) as unknown:
            ask(f"http://127.0.0.1:{port}/v1/users/nobody/score", made["token"])
        unknown.value.close()
    finally:
        server.send_signal(signal.SIGINT)
        said = finish(server)
    assert score["churn_probability"] == user["churn_probability"]
    assert unknown.value.code == 404
    assert "Traceback" not in said.err


def test_two_trainings_at_once_are_told_apart(shop: Path) -> None:
    first = spawn("train", "--no-promote", *SMALL, folder=shop)
    note = shop / "holdfast-data" / "locks" / "training.json"
    wait_for(note.exists)
    second = here("train", "--no-promote", *SMALL, folder=shop)
    done = finish(first)
    assert second.code == 5
    assert f"another training is running on {shop / 'holdfast-data'} (pid {first.pid}, since" in second.err
    assert done.code in {0, 1}


@pytest.mark.parametrize("command", [["train", "--no-promote", *SMALL], ["score"]])
def test_an_interrupt_leaves_everything_as_it_was(shop: Path, tmp_path: Path, command: list[str]) -> None:
    before = here("at-risk", "--json", folder=shop).document
    stage = {"train": "Learning and testing", "score": "Scoring everybody"}[command[0]]
    told = tmp_path / "stderr"
    with told.open("w") as stderr:
        started = subprocess.Popen([sys.executable, "-P", "-c", TALKATIVE, *command], cwd=shop, stderr=stderr)
        wait_for(lambda: stage in told.read_text())
        started.send_signal(signal.SIGINT)
        assert started.wait(timeout=120) == 130
    said = told.read_text()
    assert said.strip().endswith("interrupted; nothing was lost, run the same command again")
    assert "Traceback" not in said
    assert here("at-risk", "--json", folder=shop).document == before
    assert here(*command, folder=shop).code in {0, 1}


def test_a_corrupted_bundle_is_refused(shop: Path) -> None:
    model = next((shop / "holdfast-data" / "champion").glob("*/model.json"))
    whole = model.read_bytes()
    model.write_bytes(whole.replace(b"0.", b"1.", 1))
    said = here("score", folder=shop)
    model.write_bytes(whole)
    assert said.code == 6
    assert "was changed or damaged" in said.err


def free_port() -> int:
    import socket  # noqa: PLC0415 only here

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def wait_for(happened: Callable[[], bool], *, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def ask(address: str, token: str) -> Any:  # Any: JSON
    """The answer, once the server listens."""
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 our own server
    for _ in range(200):
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 as above
                return json.load(answer)
        except urllib.error.HTTPError:
            raise
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{address} did not answer; {sys.platform}")
