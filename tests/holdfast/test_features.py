"""`holdfast features` and what belongs to it: described, built, compared, late data, bots, profiles, compacting."""

import json
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from features import dataset
from tests.said import here

OWN = """
from features.language import days, events, feature_set, profile
FEATURES = feature_set(
    seen=events().days_since_last().says("last seen {:.0f} days ago", zh="{:.0f} 天前来过"),
    visits=events("visit").count(last=days(28)),
    plan=profile("plan").among("free", "pro"),
)
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty users over half a year who buy and visit, a bot, and what is known about half of them."""
    folder = tmp_path_factory.mktemp("shop")
    dice, begin = random.Random(5), datetime(2026, 1, 1, tzinfo=UTC)  # noqa: S311 no secret
    lines = ["user_id,time,event,value,received_at"]
    for _ in range(3000):
        time = begin + timedelta(seconds=dice.randrange(180 * 86_400))
        received = time + timedelta(hours=dice.choice([0, 0, 0, 0, 30]))
        kind = dice.choice(["visit", "visit", "purchase"])
        lines.append(f"u{dice.randrange(80)},{time.isoformat()},{kind},{dice.randrange(90)},{received.isoformat()}")
    for second in range(1200):
        time = (begin + timedelta(days=9, seconds=second)).isoformat()
        lines.append(f"robot,{time},visit,,{time}")
    (folder / "events.csv").write_text("\n".join(lines))
    plans = [f"u{user},2026-01-0{1 + user % 9},{dice.choice(['free', 'pro', 'gold'])}" for user in range(0, 80, 2)]
    (folder / "plans.csv").write_text("\n".join(["user_id,since,plan", *plans]))
    (folder / "own.py").write_text(OWN)
    assert here("ingest", "events.csv", folder=folder).code == 0
    said = here("ingest", "--profiles", "plans.csv", "--valid-from", "since", "--timezone", "UTC", folder=folder)
    assert (said.code, said.out.splitlines()[0]) == (
        0,
        "Read 40 rows: 40 new profiles, 0 duplicates, 0 in quarantine.",
    )
    return folder


def test_profiles_become_features_as_they_stood_at_the_cutoff(shop: Path) -> None:
    found = here("features", "dictionary", "--features", "own.py", "--json", folder=shop).document["features"][2]
    assert found["name"] == "plan"
    assert found["share_missing"] == pytest.approx(0.5, abs=0.05)
    assert found["categories"].keys() == {"free", "pro", "(another)"}
    assert here("features", "--json", folder=shop).out.count('"family": "profile"') > 0
    again = here("ingest", "--profiles", "plans.csv", "--valid-from", "since", "--timezone", "UTC", folder=shop)
    assert "0 new profiles, 40 duplicates" in again.out


def test_a_column_of_profiles_that_is_not_there_is_named(shop: Path) -> None:
    said = here("ingest", "--profiles", "plans.csv", folder=shop)
    assert said.code == 3
    assert "plans.csv has no column 'valid_from'" in said.err
    assert "Give the name of the right one with --valid-from COLUMN." in said.err
    nobody = here("ingest", "--profiles", "plans.csv", "--valid-from", "since", "--user-id", "customer", folder=shop)
    assert "Give the name of the right one with --user-id COLUMN." in nobody.err
    assert here("ingest", "events.csv", "--valid-from", "since", folder=shop).code == 2


def test_a_property_that_the_log_has_not_got_is_named_and_not_missing_everywhere(shop: Path) -> None:
    (shop / "typo.py").write_text(OWN.replace('profile("plan")', 'profile("paln")'))
    said = here("features", "--features", "typo.py", folder=shop)
    assert said.code == 3
    assert "no property or profile column 'paln'; expected" in said.err


def test_the_dictionary_is_a_page_a_table_and_a_document(shop: Path) -> None:
    said = here("features", "dictionary", "--features", "own.py", "--html", "page.html", folder=shop)
    assert said.out == "Wrote page.html: 3 features of 80 users. Open it in a browser.\n"
    assert "天前来过" in (shop / "page.html").read_text("utf-8")
    told = here("features", "--features", "own.py", "--json", folder=shop).document
    assert told["features"][0]["correlation_with_recency"] == pytest.approx(1)
    assert told["features"][1]["formula"] == "events('visit').count(last=28d)"
    text = here("features", "--features", "own.py", folder=shop).out
    assert text.splitlines()[2].split() == ["name", "sentence", "family", "window", "valued"]
    (shop / "page.html").unlink()


def test_a_page_for_a_folder_that_is_not_there_is_refused(shop: Path) -> None:
    said = here("features", "dictionary", "--features", "own.py", "--html", "no/page.html", folder=shop)
    assert said.code == 3
    assert "there is no folder no" in said.err


def test_options_before_a_command_are_not_lost_silently(shop: Path) -> None:
    said = here("features", "--cutoff", "2026-05-01", "bots", folder=shop)
    assert said.code == 2
    assert "options go behind the command: holdfast features bots" in said.err


def test_features_are_built_once_and_then_found(shop: Path) -> None:
    command = ["features", "build", "--to", "rows", "--features", "own.py", "--every", "4w", "--back", "3"]
    told = here(*command, "--cutoff", "2026-06-01", "--json", folder=shop).document
    assert told["cutoffs"] == ["2026-04-06T00:00:00Z", "2026-05-04T00:00:00Z", "2026-06-01T00:00:00Z"]
    assert (told["kept"], told["files"] > 0, told["rows"]) == (0, True, len(dataset.read(shop / "rows")))
    again = here(*command, "--cutoff", "2026-06-01", folder=shop)
    assert "held them already" in again.out
    other = here(*command, "--cutoff", "2026-06-02", folder=shop)
    assert other.code == 3
    assert "rows holds a build of another request" in other.err
    assert "or overwrite it: --overwrite" in other.err
    assert here(*command, "--cutoff", "2026-06-02", "--overwrite", "--json", folder=shop).document["kept"] == 0
    assert len(set(dataset.read(shop / "rows").cutoffs.tolist())) == 3


def test_an_interrupted_build_goes_on(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["features", "build", "--to", "long", "--features", "own.py", "--threads", "1"]
    write, written = dataset._write_whole, []

    def interrupted(table: object, path: Path) -> None:
        if len(written) == 1:
            raise KeyboardInterrupt
        written.append(path)
        write(table, path)  # type: ignore[arg-type] # handed on as it came

    with monkeypatch.context() as patch:
        patch.setattr(dataset, "_write_whole", interrupted)
        first = here(*command, folder=shop)
    assert first.code == 130
    assert not (shop / "long").exists()
    assert here(*command, "--json", folder=shop).document["kept"] == 1


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--every", "4w"], 2, "--every and --back go together"),
        (["--back", "3"], 2, "--every and --back go together"),
        (["--every", "0d", "--back", "3"], 3, "expected a step of at least a day"),
        (["--every", "4w", "--back", "2", "--cutoff", "2026-05-01", "--cutoff", "2026-06-01"], 2, "from one cutoff"),
        (["--every", "52w", "--back", "3"], 3, "lies outside the log"),
        (["--cutoff", "2031-01-01"], 3, "lies outside the log"),
        (["--log-version", "99"], 4, "has no version 99"),
        (["--as-known", "perhaps"], 3, "expected auto, yes or no"),
        (["--activity", "vist"], 3, "no events of kind 'vist'"),
    ],
)
def test_what_cannot_be_built_is_said(shop: Path, options: list[str], code: int, words: str) -> None:
    said = here("features", "build", "--to", "nothing", "--features", "own.py", *options, folder=shop)
    assert (said.code, (shop / "nothing").exists()) == (code, False)
    assert words in said.err


def test_what_is_known_decides_and_is_told(shop: Path) -> None:
    command = ["features", "build", "--features", "own.py", "--json"]
    chosen = here(*command, "--to", "auto", folder=shop).document
    assert (chosen["as_known"], "say when they were received" in chosen["as_known_because"]) == (True, True)
    said = here(*command, "--to", "plain", "--as-known", "no", folder=shop).document
    assert (said["as_known"], said["as_known_because"]) == (False, "the settings say no.")


def test_late_data_are_reported_with_what_they_move(shop: Path) -> None:
    told = here("features", "late", "--features", "own.py", "--json", folder=shop).document
    assert told["trustworthy"] is True
    assert {one["name"] for one in told["moved"]} == {"seen", "visits", "plan"}
    text = here("features", "late", "--features", "own.py", folder=shop).out
    assert "the times of receipt are to be trusted" in text


def test_bots_are_counted_and_named_only_when_asked(shop: Path) -> None:
    said = here("features", "bots", "--limit", "500", folder=shop)
    assert "500 (yours)" in said.out
    assert "robot" not in said.out + said.err
    named = here("features", "bots", "--ids", "--json", folder=shop)
    assert [one["user_id"] for one in named.document["busy"]] == ["robot"]
    assert "robot" not in named.err


def test_two_sets_are_compared_by_file_folder_and_name(shop: Path) -> None:
    (shop / "newer.py").write_text(OWN.replace("last=days(28)", "last=days(56)"))
    said = here("features", "diff", "own.py", "newer.py", folder=shop)
    assert "was  events('visit').count(last=28d)\n      is   events('visit').count(last=56d)" in said.out
    here("features", "build", "--to", "kept", "--features", "own.py", folder=shop)
    assert here("features", "diff", "kept", "own.py", "--json", folder=shop).document["same_meaning"] is True
    assert here("features", "diff", "own.py", "standard", "--json", folder=shop).document["added"] != []


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("champion", 4, "no model yet"),
        ("nothing", 3, "'nothing' names no features"),
        ("gone.py", 3, "there is no such file"),
        (".", 4, "there are no features in"),
    ],
)
def test_a_set_that_is_none_is_said(shop: Path, name: str, code: int, words: str) -> None:
    said = here("features", "diff", "own.py", name, folder=shop)
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # MLflow leaves its address behind
    assert said.code == code
    assert words in said.err


def test_the_catalogue_listens_to_the_settings(shop: Path) -> None:
    told = here("features", "--treatments", "visit", "--company-timezone", "Asia/Shanghai", "--json", folder=shop)
    assert '"family": "treatment"' in told.out
    assert "Asia/Shanghai" in told.out
    wrong = here("features", "--company-timezone", "Mars/Olympus", folder=shop)
    assert (wrong.code, "is not a time zone" in wrong.err) == (3, True)
    assert here("features", "--service", "vist", folder=shop).code == 3


def test_the_log_can_be_compacted(shop: Path) -> None:
    told = here("compact", "--json", folder=shop).document
    assert told["files"] <= told["files_before"]
    assert told["removed"] == 0
    assert here("compact", "--keep", "0d", folder=shop).code == 3
    assert json.loads(here("features", "--features", "own.py", "--json", folder=shop).out)["users"] == 80


def test_spark_builds_the_same_rows(shop: Path) -> None:
    command = ["features", "build", "--features", "own.py", "--cutoff", "2026-06-01", "--json"]
    said = here(*command, "--to", "on-spark", "--engine", "spark", folder=shop)
    assert said.code == 0, said.err
    local = here(*command, "--to", "local", folder=shop).document
    assert (said.document["rows"], said.document["engine"]) == (local["rows"], "spark")
    taken = here(*command, "--to", "on-spark", "--engine", "spark", folder=shop)
    assert (taken.code, "exists already; choose another folder, or overwrite it: --overwrite" in taken.err) == (3, True)
    over = here(*command, "--to", "local", "--engine", "spark", "--overwrite", folder=shop)
    assert over.code == 0, over.err
    pd.testing.assert_frame_equal(
        dataset.read(shop / "local").to_pandas(), dataset.read(shop / "on-spark").to_pandas(), check_exact=True
    )
