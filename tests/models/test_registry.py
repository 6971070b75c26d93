import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.errors import BadInput, Damaged, NotReady
from models.bundle import Bundle, load, save
from models.registry import Champion, Registry, champion_folder_of, champion_pointer, quiet_mlflow, sqlite_uri


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("our data")  # with a space


@pytest.fixture(scope="module")
def registry(home: Path) -> Registry:
    return Registry(sqlite_uri(home / "mlflow.db"), "holdfast-churn")


@pytest.fixture(scope="module")
def run_id(registry: Registry, home: Path) -> Iterator[str]:
    with quiet_mlflow(registry.tracking_uri) as client:
        experiment = client.create_experiment("trainings", artifact_location=str(home / "mlartifacts"))
        run = client.create_run(experiment).info.run_id
        yield run
        client.set_terminated(run)


@pytest.fixture(scope="module")
def saved(bundle: Bundle, people: Any, home: Path) -> Path:
    folder = home / "bundle"
    save(bundle, folder, golden=people.rows)
    return folder


@pytest.fixture(scope="module")
def version(registry: Registry, run_id: str, saved: Path, cast: pd.DataFrame) -> str:
    with pytest.raises(NotReady, match="run `holdfast train` first"):
        registry.champion()
    return registry.register(saved, run_id=run_id, input_example=cast)


def test_the_first_version_is_registered_in_silence(version: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert version == "1"
    assert capfd.readouterr() == ("", "")


def test_nothing_of_a_version_is_a_pickle(version: str, home: Path) -> None:
    files = [path for path in (home / "mlartifacts").rglob("*") if path.is_file()]
    assert version
    assert any(path.name == "MLmodel" for path in files)
    assert [path.name for path in files if path.suffix in {".pkl", ".pickle", ".joblib"}] == []
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


def test_a_promoted_version_serves(registry: Registry, version: str, bundle: Bundle, cast: pd.DataFrame) -> None:
    promoted = registry.promote(version)
    assert registry.champion() == champion_pointer(registry.champion_folder) == promoted
    assert promoted.version == "1"
    assert (load(promoted.folder).model.predict_proba(cast) == bundle.model.predict_proba(cast)).all()


def test_mlflow_itself_can_load_the_champion_and_predict(
    registry: Registry, version: str, bundle: Bundle, cast: pd.DataFrame
) -> None:
    registry.promote(version)
    with quiet_mlflow(registry.tracking_uri):
        from mlflow import pyfunc  # noqa: PLC0415 - as costly as in the registry

        predicted = pyfunc.load_model("models:/holdfast-churn@champion").predict(cast)
    assert predicted.columns.tolist() == ["churn_probability"]
    np.testing.assert_array_equal(predicted["churn_probability"], bundle.model.predict_proba(cast)[:, 1])


def test_an_alias_moved_in_mlflow_moves_the_champion(
    registry: Registry, version: str, run_id: str, saved: Path, cast: pd.DataFrame
) -> None:
    registry.promote(version)
    second = registry.register(saved, run_id=run_id, input_example=cast)
    registry.challenge(second)
    assert registry.champion().version == version
    with quiet_mlflow(registry.tracking_uri) as client:
        client.set_registered_model_alias("holdfast-churn", "champion", second)
    assert registry.champion().version == second
    assert champion_pointer(registry.champion_folder).version == second


def test_a_lost_copy_of_the_champion_is_fetched_again(registry: Registry, version: str) -> None:
    folder = registry.promote(version).folder
    shutil.rmtree(folder)
    with pytest.raises(Damaged, match="is gone"):
        champion_pointer(registry.champion_folder)
    assert load(registry.champion().folder).facts["quality"] == {"auc": 0.81}


def test_a_version_that_does_not_exist_cannot_be_promoted(registry: Registry, version: str) -> None:
    before = registry.promote(version)
    with pytest.raises(BadInput, match=r"no version 99 of holdfast-churn; expected one of 1[.,]"):
        registry.promote("99")
    assert registry.champion() == before


def test_a_version_that_does_not_serve_is_found_by_its_number(
    registry: Registry, version: str, bundle: Bundle, home: Path
) -> None:
    assert load(registry.bundle(version)).features == bundle.features
    with pytest.raises(NotReady, match="no model yet"):
        Registry(sqlite_uri(home / "mlflow.db"), "another-model").bundle("1")


def test_without_a_promotion_there_is_no_champion(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="no model yet"):
        champion_pointer(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"version": "1"}'])
def test_a_broken_pointer_is_damage(tmp_path: Path, content: str) -> None:
    (tmp_path / "champion.json").write_text(content)
    with pytest.raises(Damaged, match="does not name a champion"):
        champion_pointer(tmp_path)


def test_a_pointer_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    place = tmp_path / "champion"
    (place / "elsewhere").mkdir(parents=True)
    (place / "champion.json").write_text(json.dumps({"version": "1", "folder": "../elsewhere"}))
    assert champion_pointer(place) == Champion("1", place / "elsewhere")


def test_a_server_elsewhere_needs_a_folder_for_the_champion(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="say in which folder"):
        Registry("http://mlflow.internal:5000", "holdfast-churn")
    assert Registry("http://mlflow.internal:5000", "holdfast-churn", tmp_path).champion_folder == tmp_path


def test_a_relative_address_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sqlite_uri(Path("our data/mlflow.db")) == f"sqlite:///{tmp_path}/our data/mlflow.db"
    assert champion_folder_of("sqlite:///our data/mlflow.db") == tmp_path / "our data" / "champion"


@pytest.mark.parametrize("name", ["a/b", "holdfast:2", " ", "v1.0"])
def test_a_name_that_mlflow_would_refuse_is_refused_before_the_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="cannot be a model's name"):
        Registry(sqlite_uri(tmp_path / "mlflow.db"), name)


def test_an_address_that_mlflow_does_not_know_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'foo://bar' is not an address of MLflow"):
        Registry("foo://bar", "holdfast", tmp_path)


def test_afterwards_a_notebook_s_models_come_from_where_it_tracks(tmp_path: Path) -> None:
    import mlflow  # noqa: PLC0415 costs seconds

    before = mlflow.get_tracking_uri()
    with quiet_mlflow(sqlite_uri(tmp_path / "ours.db")):
        pass
    assert mlflow.get_registry_uri() == mlflow.get_tracking_uri() == before
    try:
        mlflow.set_tracking_uri(sqlite_uri(tmp_path / "theirs.db"))
        assert mlflow.get_registry_uri() == sqlite_uri(tmp_path / "theirs.db")
    finally:
        mlflow.set_tracking_uri(before)
