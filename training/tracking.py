"""One MLflow run for each training: what went in, how good it came out, and the model, registered.

The first model whose verdict allows it becomes champion. Where there is a champion, and where the verdict is "do not
deploy", the model is registered as challenger and does not serve, unless it is asked for: `training.gate` decides.
Promotion is the very last step, so that whatever goes wrong before leaves the champion as it was.
MLflow costs seconds to import, so it is imported inside functions.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from features.windows import format_span, iso, to_microseconds
from models import bundle
from models.champions import Change, How
from models.registry import Registry, quiet_mlflow
from training.report import report
from training.run import Training

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from training.backtest import Backtest

EXPERIMENT = "holdfast"
BACKTESTS = "holdfast back-tests"  # apart, so that runs of trainings can be compared with each other
EXAMPLE_ROWS = 5
STEPS = 4
ASKED = "holdfast train --promote"  # the reason that is recorded where a training was told to promote its model
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a training is to be found: its run, its version in the registry, and whether that one serves now."""

    run_id: str
    version: str
    promoted: bool


def record(
    training: Training,
    registry: Registry,
    *,
    artifacts: str,
    source: str,
    promote: bool | None = None,
    on_progress: OnProgress | None = None,
) -> Recorded:
    """The training as a finished run and a registered version; champion if none serves yet and the verdict allows it.

    `artifacts` is the address of the folder for pictures and bundles, `source` names the event log. `promote` true
    makes the version champion whatever the verdict and whoever serves, false never. When anything fails the run is
    marked as failed (or killed, when the user interrupted) and the champion stays.
    """
    tell = on_progress or _tell_nobody
    with quiet_mlflow(registry.tracking_uri) as client, tempfile.TemporaryDirectory() as scratch:
        tell(0, STEPS)
        with _run(client, training, artifacts=artifacts) as run_id:
            _log_facts(client, run_id, training=training, source=source)
            tell(1, STEPS)
            _log_pages(client, run_id, training=training, folder=Path(scratch) / "pages")
            tell(2, STEPS)
            saved = Path(scratch) / "bundle"
            bundle.save(training.bundle, saved, golden=training.golden)
            version = registry.register(saved, run_id=run_id, input_example=training.golden.head(EXAMPLE_ROWS))
            tell(3, STEPS)
    wanted = _may_serve(training, registry) if promote is None else promote
    if wanted:
        how, reason = (How.FIRST, "the first model") if promote is None else (How.FORCED, ASKED)
        registry.promote(version, Change(version, training.trained_at, how, reason))
    else:
        registry.challenge(version)
    tell(STEPS, STEPS)
    return Recorded(run_id, version, promoted=wanted)


def _may_serve(training: Training, registry: Registry) -> bool:
    return training.verdict.may_be_promoted and registry.champion_version() is None


def record_backtest(
    found: "Backtest", registry: Registry, *, artifacts: str, source: str, now: datetime, pages: Path
) -> str:
    """The id of a finished run with the back-test's figures and its pages; no model is registered."""
    from mlflow.entities import Metric, Param  # noqa: PLC0415 - costs seconds

    at = to_microseconds(now) // 1000
    figures = found.pooled.quality() | found.pooled.baselines() | {"origins": float(len(found.origins))}
    asked = found.definition.to_json() | asdict(found.settings) | {"every": format_span(found.every), "source": source}
    tags = {
        "definition_id": found.definition.id,
        "definition": found.definition.says(),
        "feature_fingerprint": found.features.fingerprint,
        "code_version": found.code_version,
        "log_version": str(found.log_version),
        "verdict": str(found.verdict.decision),
        "ageing": found.ageing.says(),
    }
    with quiet_mlflow(registry.tracking_uri) as client:
        experiment = _experiment(client, artifacts, usually=BACKTESTS)
        name = f"back-test {iso(now)[:19]}"
        with _run_of(client, experiment, name=name, tags=tags, at=at) as run_id:
            client.log_batch(
                run_id,
                params=[Param(key, str(value)) for key, value in asked.items()],
                metrics=[Metric(key, value, at, 0) for key, value in figures.items()],
            )
            for step, origin in enumerate(found.origins):  # a batch each: a server takes a thousand metrics at once
                each = {f"{key}_by_origin": value for key, value in origin.trial.quality().items()}
                client.log_batch(run_id, metrics=[Metric(key, value, at, step) for key, value in each.items()])
            client.log_artifacts(run_id, str(pages))
    return run_id


def _run(client: "MlflowClient", training: Training, *, artifacts: str) -> AbstractContextManager[str]:
    """The id of a new run of a training."""
    at, name = to_microseconds(training.trained_at) // 1000, f"churn {iso(training.trained_at)[:19]}"
    return _run_of(client, _experiment(client, artifacts), name=name, tags=_tags(training), at=at)


@contextmanager
def _run_of(client: "MlflowClient", experiment: str, *, name: str, tags: dict[str, str], at: int) -> Iterator[str]:
    """The id of a new run, which is marked as finished, failed or killed when the block is left."""
    run = client.create_run(experiment, start_time=at, tags=tags, run_name=name)
    run_id = str(run.info.run_id)
    try:
        yield run_id
    except Exception:
        client.set_terminated(run_id, "FAILED")
        raise
    except BaseException:  # an interrupt
        client.set_terminated(run_id, "KILLED")
        raise
    client.set_terminated(run_id, "FINISHED")


def _experiment(client: "MlflowClient", artifacts: str, *, usually: str = EXPERIMENT) -> str:
    """The experiment whose files lie there; an experiment's address stands for good, so a moved folder has its own."""
    usual = client.get_experiment_by_name(usually)
    if usual is not None and artifacts in ("", usual.artifact_location):
        return str(usual.experiment_id)
    name = usually if usual is None else f"{usually} ({artifacts})"
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name, artifact_location=artifacts))


def _tags(training: Training) -> dict[str, str]:
    return {
        "definition_id": training.definition.id,
        "definition": training.definition.says(),
        "feature_fingerprint": training.features.fingerprint,
        "code_version": training.code_version,
        "log_version": str(training.log_version),
        "verdict": str(training.verdict.decision),
    }


def _log_facts(client: "MlflowClient", run_id: str, *, training: Training, source: str) -> None:
    """Parameters, metrics with the ends of their intervals, and the data set."""
    from mlflow.entities import Metric, Param  # noqa: PLC0415 - costs seconds

    at = to_microseconds(training.trained_at) // 1000
    known = {"as_known": training.knowledge.as_known, "as_known_because": training.knowledge.because}
    settings = training.definition.to_json() | asdict(training.settings) | known | {"recipe": training.recipe.says()}
    rows = {f"{step}_{name}": value for step, facts in training.steps.items() for name, value in facts.known().items()}
    steady = training.stability.quality() | {"level_shift": training.level.shift}
    figures = training.trial.quality() | training.trial.baselines() | steady | rows
    client.log_batch(
        run_id,
        params=[Param(name, str(value)) for name, value in settings.items()],
        metrics=[Metric(name, value, at, 0) for name, value in figures.items()],
    )
    _log_data_set(client, run_id, training=training, source=source)


def _log_data_set(client: "MlflowClient", run_id: str, *, training: Training, source: str) -> None:
    """Which version of the log was read, so that the training set can be built again."""
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415 - costs seconds

    where = {"uri": source, "version": training.log_version}
    profile = {"rows": training.steps["fit"].rows, "features": len(training.features)}
    data_set = Dataset(
        name="event log",
        digest=f"v{training.log_version}",
        source_type="delta",
        source=json.dumps(where),
        profile=json.dumps(profile),
    )
    client.log_inputs(run_id, [DatasetInput(data_set, [InputTag("mlflow.data.context", "training")])])


def _log_pages(client: "MlflowClient", run_id: str, *, training: Training, folder: Path) -> None:
    """The report, the exact cutoffs and the pictures."""
    from training.plots import figures  # noqa: PLC0415 - matplotlib costs half a second

    folder.mkdir()
    (folder / "report.txt").write_text(report(training) + "\n", encoding="utf-8")
    (folder / "cutoffs.json").write_text(json.dumps(training.split.to_json(), indent=1), encoding="utf-8")
    found = {name: training.facts[name] for name in ("readiness", "leakage")}
    (folder / "checks.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    for name, figure in figures(training).items():
        figure.savefig(folder / f"{name}.png", dpi=110)
    client.log_artifacts(run_id, str(folder))


def _tell_nobody(done: int, total: int) -> None:
    """Progress that nobody asked for."""
