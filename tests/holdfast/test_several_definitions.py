"""Several definitions in one holdfast.toml: compared, and each with a model and scores of its own."""

import json
import tomllib
from pathlib import Path

import pytest

from tests.said import here
from tests.subscribers import subscribers, write_log

SETTINGS = """# ours
[churn]
activity = ["visit"]
look_back = "28d"
horizon = "14d"

[definitions.cancelled]
kind = "cancel"
cancel = ["cancel"]
starts = ["subscribe"]
look_back = "28d"
horizon = "14d"

[definitions.unpaid]  # by the bank
kind = "lapse"
renewal = ["renewal"]
paid_until = "expires"
look_back = "28d"
horizon = "14d"

[train]
max_cutoffs = 6
trees = 20
replicates = 20

[features]
file = "few.py"
"""
FEATURES = """
from features.language import days, events, feature_set

visits = events("visit")
few = feature_set(days_since_last_visit=visits.days_since_last(), visits_14d=visits.count(last=days(14)))
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "holdfast.toml").write_text(SETTINGS, "utf-8")
    (folder / "few.py").write_text(FEATURES, "utf-8")
    assert here("ingest", str(write_log(folder / "events.csv", subscribers())), folder=folder).code == 0
    return folder


def test_they_are_held_side_by_side(shop: Path) -> None:
    said = here("define", "--to", "asked", folder=shop)
    assert said.code == 0, said.err
    assert "cancelled: Churned: started (subscribe) or active in the last 28 days" in said.out
    assert "How often they agree on the users of both" in said.out
    assert (shop / "asked" / "side_by_side.png").stat().st_size > 10_000
    document = json.loads((shop / "asked" / "definition.json").read_text())["side_by_side"]
    assert [side["name"] for side in document["sides"]] == ["churn", "cancelled", "unpaid"]
    pairs = {(pair["first"], pair["second"]): pair["kappa"]["value"] for pair in document["agreements"]}
    assert all(0 < kappa < 1 for kappa in pairs.values())
    assert document["followed"] == "14d"


def test_where_an_event_decides_nothing_is_recommended(shop: Path) -> None:
    said = here("define", "--definition", "cancelled", folder=shop)
    assert said.code == 0, said.err
    assert said.out.rstrip().endswith("An event decides, so days of silence recommend nothing. Next: holdfast train")
    assert "Who comes back" not in said.out
    refused = here("define", "--definition", "cancelled", "--write", folder=shop)
    assert refused.code == 3
    assert "[definitions.cancelled] kind is 'cancel', which an event decides" in refused.err


def test_a_recommendation_is_written_into_the_definition_that_was_chosen(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "tried.toml"
    file.write_text(SETTINGS + f'\n[definitions.quick]\nactivity = ["visit"]\n\n[data]\ndir = "{shop}/holdfast-data"\n')
    asked = ["define", "--config", str(file), "--definition", "quick", "--candidate", "21d/14d", "--write"]
    said = here(*asked, folder=shop)
    assert said.code == 0, said.err
    assert "Wrote look-back and horizon 21d/14d to [definitions.quick] of" in said.out
    document = tomllib.loads(file.read_text())
    assert document["definitions"]["quick"] == {"activity": ["visit"], "look_back": "21d", "horizon": "14d"}
    assert document["churn"] == tomllib.loads(SETTINGS)["churn"]
    assert "# by the bank" in file.read_text()


def test_a_name_that_there_is_not_is_told_with_the_nearest(shop: Path) -> None:
    for command in (["train"], ["check"], ["backtest"], ["score"], ["define"], ["at-risk"], ["serve"]):
        said = here(*command, "--definition", "canceled", folder=shop)
        assert said.code == 3, command
        assert "there is no definition 'canceled'" in said.err
        assert "Did you mean 'cancelled'?" in said.err


def test_a_mistake_in_a_definition_beside_is_told_with_its_name(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(
        SETTINGS.replace('renewal = ["renewal"]', 'renewal = ["pay"]') + f'[data]\ndir = "{shop}/holdfast-data"'
    )
    said = here("define", "--config", str(file), folder=shop)
    assert said.code == 3
    assert "the definition unpaid: the log has no events of kind 'pay'" in said.err


def test_each_has_a_model_and_scores_of_its_own(shop: Path) -> None:
    for options in ([], ["--definition", "cancelled"]):
        for command in (["train", "--promote"], ["score"]):
            said = here(*command, *options, folder=shop)
            assert said.code == 0, said.err
    plain, cancelled = (
        here("at-risk", "--top", "3", "--json", *options, folder=shop).document
        for options in ([], ["--definition", "cancelled"])
    )
    assert plain["definition_id"] != cancelled["definition_id"]
    assert (plain["model_version"], cancelled["model_version"]) == ("1", "1")
    assert plain["users"] != cancelled["users"]
    assert (shop / "holdfast-data" / "definitions" / "cancelled" / "store.db").exists()
    assert here("at-risk", "--definition", "unpaid", folder=shop).code == 4
    ours, theirs = (
        here("promote", "--history", *options, folder=shop).out for options in ([], ["--definition", "cancelled"])
    )
    assert (len(ours.splitlines()), len(theirs.splitlines())) == (2, 2)
