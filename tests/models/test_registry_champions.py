"""Aliases, the history of champions and the gate's verdicts, in a real registry."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.errors import BadInput, Damaged, NotReady
from features.windows import utc
from models.bundle import Bundle, save
from models.champions import Change, How
from models.registry import Registry, quiet_mlflow, sqlite_uri

NOW = utc("2026-06-01T02:00:00Z")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def registry(home: Path, bundle: Bundle, people: Any, cast: pd.DataFrame) -> Registry:
    """Three versions of the same model, of which the first two have been champion."""
    found = Registry(sqlite_uri(home / "mlflow.db"), "churn")
    assert found.changes() == []
    save(bundle, home / "bundle", golden=people.rows)
    with quiet_mlflow(found.tracking_uri) as client:
        experiment = client.create_experiment("trainings", artifact_location=str(home / "mlartifacts"))
        for _ in range(3):
            run_id = client.create_run(experiment).info.run_id
            found.register(home / "bundle", run_id=run_id, input_example=cast)
    assert found.champion_version() is None
    found.promote("1", Change("1", NOW, How.FIRST, "the first model"))
    found.challenge("2")
    found.promote("2", Change("2", NOW, How.GATE))
    return found


def test_every_change_is_written_down_with_whom_it_replaced(registry: Registry) -> None:
    changes = registry.changes()[:2]
    assert [(one.version, one.before, one.how) for one in changes] == [("1", "", How.FIRST), ("2", "1", How.GATE)]
    assert [(one.at, one.reason) for one in changes] == [(NOW, "the first model"), (NOW, "")]


def test_a_promoted_challenger_is_no_challenger_and_the_one_before_has_a_name(registry: Registry) -> None:
    assert (registry.version_of("champion"), registry.version_of("previous")) == ("2", "1")
    with pytest.raises(NotReady, match="no version is called challenger"):
        registry.version_of("challenger")


def test_a_number_names_itself_if_there_is_such_a_version(registry: Registry) -> None:
    assert registry.version_of("3") == "3"
    with pytest.raises(BadInput, match="no version 9 of churn"):
        registry.version_of("9")


def test_a_damaged_bundle_is_never_promoted_and_nothing_changes(registry: Registry) -> None:
    booster = registry.bundle("3") / "booster-0.txt"
    healthy = booster.read_text()
    changes, champion = registry.changes(), registry.champion()
    booster.write_text(healthy.replace("leaf_value=", "leaf_value=9", 1))
    try:
        with pytest.raises(Damaged, match="changed or damaged"):
            registry.promote("3", Change("3", NOW, How.FORCED, "because"))
    finally:
        booster.write_text(healthy)
    assert (registry.changes(), registry.champion(), registry.version_of("previous")) == (changes, champion, "1")


def test_a_verdict_is_kept_with_its_version_and_in_its_run(registry: Registry) -> None:
    first, second = {"passed": False, "challenger": "3"}, {"passed": True, "challenger": "3"}
    registry.keep_verdict("3", first, name="monday-against-2")
    registry.keep_verdict("3", second, name="tuesday-against-2")
    with quiet_mlflow(registry.tracking_uri) as client:
        version = client.get_model_version("churn", "3")
        pages = {page.path for page in client.list_artifacts(version.run_id, "gate")}
        monday = client.download_artifacts(version.run_id, "gate/monday-against-2.json")
    assert json.loads(version.tags["gate"]) == second
    assert pages == {"gate/monday-against-2.json", "gate/tuesday-against-2.json"}
    assert json.loads(Path(monday).read_text()) == first
