"""Training twice from the same inputs gives the same bytes."""

from pathlib import Path

import pytest

from features.language import FeatureSet
from features.log import EventLog
from features.windows import utc
from models.bundle import save
from models.registry import Registry, sqlite_uri
from training.report_files import report_files
from training.run import Training, train
from training.tracking import record

DATED = {"facts.json", "card.md", "sums.json"}  # they tell when the training was, or what these files hold


@pytest.fixture(scope="module")
def again(training: Training, shop: EventLog, few_features: FeatureSet) -> Training:
    """The session's training once more, from its own settings."""
    return train(
        shop,
        training.definition,
        few_features,
        now=training.trained_at,
        code_version=training.code_version,
        settings=training.settings,
    )


def _bundle(training: Training, folder: Path) -> dict[str, bytes]:
    """The files of the champion's bundle in a registry of its own."""
    registry = Registry(sqlite_uri(folder / "mlflow.db"), "churn")
    record(
        training, registry, artifacts=(folder / "artifacts").as_uri(), source="events", promote=True, files={"a": b""}
    )
    there = registry.champion().folder
    return {path.relative_to(there).as_posix(): path.read_bytes() for path in there.rglob("*") if path.is_file()}


def test_two_trainings_at_one_moment_register_the_same_bytes(
    training: Training, again: Training, tmp_path: Path
) -> None:
    first, second = (_bundle(one, tmp_path / name) for one, name in ((training, "first"), (again, "second")))
    assert len(first) >= 8
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_two_trainings_at_one_moment_write_the_same_report(training: Training, again: Training) -> None:
    first, second = report_files(training), report_files(again)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_a_later_training_differs_where_the_moment_is_told_and_nowhere_else(
    training: Training, shop: EventLog, few_features: FeatureSet, tmp_path: Path
) -> None:
    later = train(
        shop,
        training.definition,
        few_features,
        now=utc("2026-10-01"),
        code_version=training.code_version,
        settings=training.settings,
    )
    saved = {}
    for name, one in (("first", training), ("second", later)):
        save(one.bundle, tmp_path / name, golden=one.golden)
        saved[name] = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
    first, second = saved["first"], saved["second"]
    assert {name for name in first if first[name] != second[name]} == DATED
    told = [content.replace(b"2026-10-01", b"2026-09-01") for content in (second["facts.json"], second["card.md"])]
    assert told == [first["facts.json"], first["card.md"]]
