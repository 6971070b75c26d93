"""Who has MLflow and the package, and nothing of ours but an address, gets the same probabilities; on Spark too."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from models.registry import Registry, sqlite_uri
from training.run import Training
from training.tracking import record

CLOSE = 1e-12
CLIENT = """
import json, mlflow
model = mlflow.pyfunc.load_model("models:/churn@champion")
rows = model.input_example
said = model.predict(rows)
outputs = model.metadata.signature.outputs.to_dict()
print(json.dumps({"said": said["churn_probability"].tolist(), "rows": len(rows), "outputs": outputs}))
"""
ON_SPARK = """
import json, mlflow, pyarrow
from features.spark_session import open_session
rows = mlflow.pyfunc.load_model("models:/churn@champion").input_example
with open_session(cores=2) as session:
    frame = session.createDataFrame(pyarrow.Table.from_pandas(rows, preserve_index=False))
    say = mlflow.pyfunc.spark_udf(session, "models:/churn@champion", env_manager="local")
    said = frame.withColumn("said", say(*rows.columns)).toArrow()
print(json.dumps({"said": said["said"].to_pylist(), "rows": len(rows)}))
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, training: Training) -> str:
    """Where a champion is registered."""
    folder = tmp_path_factory.mktemp("client")
    registry = Registry(sqlite_uri(folder / "mlflow.db"), "churn")
    record(
        training, registry, artifacts=(folder / "artifacts").as_uri(), source="events", promote=True, files={"a": b""}
    )
    return registry.tracking_uri


def _asked(script: str, address: str, folder: Path) -> Any:  # Any: JSON
    """What a script prints last in a process that knows the address and nothing else."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "JAVA_HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**kept, "MLFLOW_TRACKING_URI": address},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_an_unmodified_client_gets_the_model_s_probabilities(address: str, training: Training, tmp_path: Path) -> None:
    found = _asked(CLIENT, address, tmp_path)
    expected = training.model.predict_proba(training.golden.head(found["rows"]))[:, 1]
    assert found["said"] == pytest.approx(expected.tolist(), abs=CLOSE, rel=0)
    assert [(each["type"], each["name"]) for each in found["outputs"]] == [("double", "churn_probability")]


@pytest.mark.skipif(find_spec("pyspark") is None, reason="the extra `spark` is not installed")
def test_as_a_function_on_spark_the_model_says_the_same(address: str, training: Training, tmp_path: Path) -> None:
    found = _asked(ON_SPARK, address, tmp_path)
    expected = training.model.predict_proba(training.golden.head(found["rows"]))[:, 1]
    assert found["said"] == pytest.approx(expected.tolist(), abs=CLOSE, rel=0)


def test_the_pages_own_files_are_recorded_where_they_were_made_before(training: Training, tmp_path: Path) -> None:
    registry = Registry(sqlite_uri(tmp_path / "mlflow.db"), "churn")
    artifacts = tmp_path / "artifacts"
    files = {"report.html": b"<p>", "tables/one.json": b"{}"}
    record(replace(training, tuned=None), registry, artifacts=artifacts.as_uri(), source="events", files=files)
    there = {path.name: path.read_bytes() for path in artifacts.rglob("*") if path.name in {"report.html", "one.json"}}
    assert there == {"report.html": b"<p>", "one.json": b"{}"}
