"""One MLflow run for each training: what went in, how good it came out, and the model, registered.

A search for settings has a run a trial beneath it.
The first model whose verdict allows it becomes champion. Where there is a champion, and where the verdict is "do not
deploy", the model is registered as challenger and does not serve, unless it is asked for: `training.gate` decides.
Promotion is the very last step, so that whatever goes wrong before leaves the champion as it was.
MLflow costs seconds to import, so it is imported inside functions.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from features.windows import format_span, iso, to_microseconds
from models import bundle
from models.champions import Change, How
from models.registry import Registry, quiet_mlflow
from training.report_files import TABLES, report_files
from training.run import Training
from training.splits import Cutoffs
from training.trial import NAMES, OURS
from training.tuned import Tuned

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Dataset

    from training.backtest import Backtest

EXPERIMENT = "holdfast"
NOTE = "mlflow.note.content"  # the tag that MLflow shows as a description
KIND = {"mlflow.experimentKind": "custom_model_development"}  # MLflow's pages then show runs first, and no chats
BACKTESTS = "holdfast back-tests"  # apart, so that runs of trainings can be compared with each other
EXAMPLE_ROWS = 5
STEPS = 4
ASKED = "holdfast train --promote"  # the reason that is recorded where a training was told to promote its model
CONTEXTS = {"training": "fit", "validation": "calibration", "test": "test"}  # of `mlflow.data`, and our steps
MOST_NOTED = 5  # remarks in the note that MLflow shows above a run
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
    files: Mapping[str, bytes] | None = None,
    on_progress: OnProgress | None = None,
) -> Recorded:
    """The training as a finished run and a registered version; champion if none serves yet and the verdict allows it.

    `artifacts` is the address of the folder for pictures and bundles, `source` names the event log, `files` are those
    of the report, where they have been written already. `promote` true makes the version champion whatever the verdict
    and whoever serves, false never. When anything fails the run is marked as failed (or killed, when the user
    interrupted) and the champion stays.
    """
    tell = on_progress or _tell_nobody
    with quiet_mlflow(registry.tracking_uri) as client, tempfile.TemporaryDirectory() as scratch:
        tell(0, STEPS)
        with _run(client, training, artifacts=artifacts) as run_id:
            _log_facts(client, run_id, training=training, source=source)
            tell(1, STEPS)
            _log_files(client, run_id, files or report_files(training), folder=Path(scratch) / "pages")
            if training.tuned is not None:
                _log_trials(client, run_id, training.tuned, at=training.trained_at)
            tell(2, STEPS)
            saved = Path(scratch) / "bundle"
            bundle.save(training.bundle, saved, golden=training.golden)
            version = registry.register(
                saved,
                run_id=run_id,
                input_example=training.golden.head(EXAMPLE_ROWS),
                description=_note(training),
                tags=_tags(training),
            )
            client.set_tag(run_id, "model_version", version)
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
    tags = _tags(training) | {NOTE: _note(training)}
    return _run_of(client, _experiment(client, artifacts), name=name, tags=tags, at=at)


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
    if found:
        return str(found.experiment_id)
    return str(client.create_experiment(name, artifact_location=artifacts, tags=KIND))


def _tags(training: Training) -> dict[str, str]:
    return {
        "definition_id": training.definition.id,
        "definition": training.definition.says(),
        "feature_fingerprint": training.features.fingerprint,
        "code_version": training.code_version,
        "log_version": str(training.log_version),
        "verdict": str(training.verdict.decision),
        "mlflow.source.name": "holdfast train",
        "mlflow.source.type": "LOCAL",
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
    _log_data_sets(client, run_id, training=training, source=source)


def _log_data_sets(client: "MlflowClient", run_id: str, *, training: Training, source: str) -> None:
    """The rows that were learnt from, calibrated on and tested on: where they lie, and how to build them again."""
    from mlflow.entities import DatasetInput, InputTag  # noqa: PLC0415 - costs seconds

    inputs = [
        DatasetInput(
            _data_set(training, source, step=step, cutoffs=getattr(training.split, step)),
            [InputTag("mlflow.data.context", context)],
        )
        for context, step in CONTEXTS.items()
    ]
    client.log_inputs(run_id, inputs)


def _data_set(training: Training, source: str, *, step: str, cutoffs: Cutoffs) -> "Dataset":
    from mlflow.entities import Dataset  # noqa: PLC0415 - costs seconds
    from mlflow.types import ColSpec, Schema  # noqa: PLC0415

    from training.mlflow_source import EventLogSource  # noqa: PLC0415 - MLflow, as above

    where = EventLogSource(
        source,
        version=training.log_version,
        cutoffs=[iso(cutoff) for cutoff in cutoffs],
        definition=training.definition.to_json(),
    )
    columns = Schema([ColSpec("double", name) for name in training.features.names])
    content = json.dumps([where.to_dict(), training.features.fingerprint, training.knowledge.as_known], sort_keys=True)
    facts = training.steps[step].known() | {"features": len(training.features)}
    return Dataset(
        name=f"event log, {step}",
        digest=f"v{training.log_version}-{hashlib.sha256(content.encode()).hexdigest()[:12]}",
        source_type=where._get_source_type(),  # MLflow's name for what it reads back
        source=where.to_json(),
        schema=json.dumps({"mlflow_colspec": columns.to_dict()}),
        profile=json.dumps(facts),
    )


def _log_files(client: "MlflowClient", run_id: str, files: Mapping[str, bytes], *, folder: Path) -> None:
    """The report's files; its tables are known to MLflow as such, for `mlflow.load_table` and its pages."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    client.log_artifacts(run_id, str(folder))
    tables = [{"path": name, "type": "table"} for name in files if name.startswith(f"{TABLES}/")]
    client.set_tag(run_id, "mlflow.loggedArtifacts", json.dumps(tables))


def _log_trials(client: "MlflowClient", run_id: str, tuned: Tuned, *, at: datetime) -> None:
    """A run for each trial beneath the training's own, with its settings and its log loss on each fold."""
    from mlflow.entities import Metric, Param  # noqa: PLC0415 - costs seconds

    moment = to_microseconds(at) // 1000
    experiment = client.get_run(run_id).info.experiment_id
    for trial in tuned.trials:
        chosen = trial.number == tuned.chosen
        tags = {
            "mlflow.parentRunId": run_id,
            "state": trial.state,
            "chosen": str(chosen).lower(),
            "used": str(chosen and tuned.kept).lower(),
        }
        begun = moment + trial.number  # a millisecond each, so that they are listed in their order
        with _run_of(client, experiment, name=f"trial {trial.number:03}", tags=tags, at=begun) as child:
            figures = {"log_loss": trial.log_loss, "trees": float(trial.trees), "seconds": trial.seconds}
            folds = [Metric("log_loss_of_fold", loss, moment, step) for step, loss in enumerate(trial.by_fold)]
            client.log_batch(
                child,
                params=[Param(name, f"{value:g}") for name, value in trial.parameters.items()],
                metrics=[*(Metric(name, value, moment, 0) for name, value in figures.items()), *folds],
            )


def _note(training: Training) -> str:
    """What MLflow shows above a run and a version, in Markdown: the verdict, the figures, what was remarked."""
    trial = training.trial
    lines = [f"**{training.verdict.decision.upper()}**", ""]
    lines += [f"- {finding.sentence}" for finding in training.verdict.findings]
    lines += ["", training.definition.says(), "", "| | AUC | log loss | predicted ÷ observed |", "|---|---|---|---|"]
    for name, found in trial.evaluations.items():
        cells = [found[metric].says() for metric in ("auc", "log_loss", "predicted_over_observed")]
        lines.append(f"| {NAMES[name] if name != OURS else 'model'} | {' | '.join(cells)} |")
    remarks = () if training.readiness is None else training.readiness.remarks
    lines += ["", *(f"- {one.level}: {one.found}" for one in remarks[:MOST_NOTED])]
    return "\n".join([*lines, "", "The whole report: the artifact `report.html`."])


def _tell_nobody(done: int, total: int) -> None:
    """Progress that nobody asked for."""
