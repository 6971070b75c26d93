import json
from dataclasses import replace
from pathlib import Path

import pytest

from features.errors import NotReady
from features.log import EventLog
from features.windows import iso
from models.bundle import load
from models.definition import ChurnDefinition
from models.registry import Registry, quiet_mlflow, sqlite_uri
from training.run import Training
from training.tracking import EXPERIMENT, Recorded, _experiment, record
from training.tuned import Tuned, TunedTrial
from training.verdict import Decision, Finding, Verdict

GOOD = Verdict(Decision.DEPLOY, (Finding("calibrated", "fine.", Decision.DEPLOY),))
BAD = Verdict(Decision.DO_NOT, (Finding("rfm_as_good", "an RFM score is as good.", Decision.DO_NOT),))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """One MLflow database for all tests here: making one takes seconds."""
    return Registry(sqlite_uri(tmp_path_factory.mktemp("tracking") / "mlflow.db"), "churn")


@pytest.fixture(scope="module")
def first_and_bad(registry: Registry, training: Training) -> Recorded:
    """The first training of all, with a verdict against it; nothing serves after it."""
    recorded = _record(replace(training, verdict=BAD), registry)
    with pytest.raises(NotReady):
        registry.champion()
    return recorded


@pytest.fixture(scope="module")
def champion(registry: Registry, first_and_bad: Recorded, training: Training, shop: EventLog) -> Recorded:
    assert not first_and_bad.promoted
    return _record(replace(training, verdict=GOOD), registry, source=str(shop.path))


def test_before_any_good_model_nothing_serves(first_and_bad: Recorded) -> None:
    assert (first_and_bad.version, first_and_bad.promoted) == ("1", False)


def _record(training: Training, registry: Registry, *, promote: bool | None = None, source: str = "events") -> Recorded:
    artifacts = (registry.champion_folder.parent / "artifacts").as_uri()
    return record(training, registry, artifacts=artifacts, source=source, promote=promote)


def _statuses(registry: Registry) -> list[str]:
    with quiet_mlflow(registry.tracking_uri) as client:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        return [run.info.status for run in client.search_runs([experiment.experiment_id])]


def test_a_good_training_is_a_finished_run_and_the_champion(
    registry: Registry, champion: Recorded, training: Training
) -> None:
    assert champion.promoted
    assert registry.champion().version == champion.version
    bundle = load(registry.champion().folder)
    golden = training.golden
    assert bundle.model.predict_proba(golden).tolist() == training.model.predict_proba(golden).tolist()


def test_the_run_tells_what_went_in_and_how_good_it_came_out(
    registry: Registry, champion: Recorded, training: Training
) -> None:
    with quiet_mlflow(registry.tracking_uri) as client:
        run = client.get_run(champion.run_id)
        pages = {page.path for page in client.list_artifacts(champion.run_id)}
    assert run.info.status == "FINISHED"
    assert run.data.metrics["auc_low"] <= run.data.metrics["auc"] <= run.data.metrics["auc_high"]
    assert run.data.metrics["gain_auc_over_rfm"] == pytest.approx(training.trial.gain("rfm", metric="auc").value)
    assert run.data.params["horizon"] == "14d"
    assert run.data.tags["feature_fingerprint"] == training.features.fingerprint
    assert {"report.html", "report.txt", "card.md", "cutoffs.json", "figures", "tables"} <= pages
    assert run.data.tags["model_version"] == champion.version
    assert "fine." in run.data.tags["mlflow.note.content"]


def test_each_step_s_rows_are_a_data_set_that_leads_back_to_the_log(
    registry: Registry, champion: Recorded, training: Training, shop: EventLog
) -> None:
    with quiet_mlflow(registry.tracking_uri) as client:
        import mlflow.data  # noqa: PLC0415 costs seconds

        inputs = client.get_run(champion.run_id).inputs.dataset_inputs
        found = {each.tags[0].value: each.dataset for each in inputs}
        sources = {each.tags[0].value: mlflow.data.get_source(each) for each in inputs}
    assert found.keys() == {"training", "validation", "test"}
    assert len({each.digest for each in found.values()}) == 3
    assert all(each.digest.startswith(f"v{training.log_version}-") for each in found.values())
    assert sources["test"].cutoffs == [iso(cutoff) for cutoff in training.split.test]
    assert ChurnDefinition.from_json(sources["training"].definition) == training.definition
    assert sources["training"].load().version == shop.version
    assert json.loads(found["test"].profile)["rows"] == training.steps["test"].rows


def test_tables_are_read_back_by_mlflow_s_own_means(registry: Registry, champion: Recorded, training: Training) -> None:
    with quiet_mlflow(registry.tracking_uri) as client:
        experiment = client.get_run(champion.run_id).info.experiment_id
        table = client.load_table(experiment, "tables/metrics.json", run_ids=[champion.run_id])
    ours = table[(table.model == "model") & (table.metric == "auc")].iloc[0]
    estimate = training.trial.ours["auc"]
    assert (ours.value, ours.low, ours.high) == pytest.approx((estimate.value, estimate.low, estimate.high))


def test_a_search_s_trials_are_runs_beneath_the_training_s_own(registry: Registry, training: Training) -> None:
    trials = (
        TunedTrial(0, "complete", {"leaves": 7.0}, 0.41, (0.4, 0.42), 100, 1.0),
        TunedTrial(1, "pruned", {"leaves": 9.0}, 0.44, (0.44,), 100, 1.0),
    )
    tuned = Tuned(trials, chosen=0, because="nothing better was found.")
    recorded = _record(replace(training, verdict=BAD, tuned=tuned), registry)
    with quiet_mlflow(registry.tracking_uri) as client:
        experiment = client.get_run(recorded.run_id).info.experiment_id
        children = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{recorded.run_id}'")
        folds = {run.info.run_name: client.get_metric_history(run.info.run_id, "log_loss_of_fold") for run in children}
    told = {run.info.run_name: run for run in children}
    assert told.keys() == {"trial 000", "trial 001"}
    assert (told["trial 000"].data.tags["chosen"], told["trial 001"].data.tags["state"]) == ("true", "pruned")
    assert told["trial 000"].data.params == {"leaves": "7"}
    assert told["trial 000"].data.metrics["log_loss"] == 0.41
    assert [each.value for each in folds["trial 000"]] == [0.4, 0.42]
    assert {run.info.status for run in children} == {"FINISHED"}


def test_a_good_model_may_be_kept_back_and_recording_prints_nothing(
    registry: Registry, champion: Recorded, training: Training, capfd: pytest.CaptureFixture[str]
) -> None:
    found = _record(replace(training, verdict=GOOD), registry, promote=False)
    printed = capfd.readouterr()
    assert not found.promoted
    assert registry.champion().version == champion.version != found.version
    assert printed.out == printed.err == ""


@pytest.mark.parametrize(("error", "step", "status"), [(KeyboardInterrupt, 2, "KILLED"), (OSError, 1, "FAILED")])
def test_an_interrupted_record_leaves_the_champion_and_marks_the_run(
    registry: Registry, champion: Recorded, training: Training, error: type[BaseException], step: int, status: str
) -> None:
    before = _statuses(registry)

    def stop(done: int, total: int) -> None:
        if (done, total) == (step, 4):
            raise error

    with pytest.raises(error):
        record(
            replace(training, verdict=GOOD),
            registry,
            artifacts=(registry.champion_folder.parent / "artifacts").as_uri(),
            source="events",
            on_progress=stop,
        )
    assert sorted(_statuses(registry)) == sorted([*before, status])
    assert registry.champion().version == champion.version


def test_after_a_data_folder_was_moved_nothing_is_written_where_it_was(tmp_path: Path) -> None:
    before, after = (tmp_path / "before").as_uri(), (tmp_path / "after").as_uri()
    with quiet_mlflow(sqlite_uri(tmp_path / "mlflow.db")) as client:
        first = _experiment(client, before)
        assert _experiment(client, before) == _experiment(client, "") == first
        moved = _experiment(client, after)
        assert client.get_experiment(moved).artifact_location == after
        assert _experiment(client, after) == moved
        assert _experiment(client, before) == first  # moved back
