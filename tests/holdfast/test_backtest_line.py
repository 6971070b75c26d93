"""`holdfast backtest` on a small log: what it says, writes and records, and what stops it."""

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from holdfast.failures import BAD_NEWS
from tests.said import Said

Holdfast = Callable[..., Said]
TALKATIVE = """
from holdfast import progress
progress.QUIET_SECONDS = 0  # stages are told as soon as they begin
from holdfast.__main__ import main
main()
"""
SMALL = ["--max-cutoffs", "4", "--trees", "20", "--replicates", "20", "--horizon", "14d", "--look-back", "28d"]


def _events(folder: Path) -> str:
    """Users who buy now and then; half of them stop somewhere."""
    dice = random.Random(7)  # noqa: S311 no secret
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    lines = ["user_id,time,event,value"]
    for user in range(400):
        last, day = (180.0 if user % 2 else dice.uniform(30, 180)), dice.uniform(0, 20)
        while day < last:
            lines.append(f"user{user},{(begin + timedelta(days=day)).isoformat()},purchase,{dice.uniform(1, 90):.2f}")
            day += dice.expovariate(1 / (3 + user % 9))
    (folder / "events.csv").write_text("\n".join(lines))
    return "events.csv"


def test_a_backtest_is_told_written_and_recorded_and_leaves_the_registry_alone(
    holdfast: Holdfast, tmp_path: Path
) -> None:
    assert holdfast("ingest", _events(tmp_path)).code == 0
    said = holdfast("backtest", *SMALL, "--origins", "2", "--to", "out", "--json")
    assert said.code in {0, BAD_NEWS}, said.err
    found = said.document
    assert [origin["rows"] > 100 for origin in found["origins"]] == [True, True]
    assert found["ageing"]["ages"][0]["age_days"] == 14
    assert (said.code == BAD_NEWS) == (found["verdict"]["decision"] == "do not deploy")
    written = json.loads((tmp_path / "out" / "backtest.json").read_text("utf-8"))
    assert written == {key: value for key, value in found.items() if key not in {"files", "run_id"}}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "over_time.png", "model_age.png", "calibration.png", "backtest.json", "backtest.txt"
    }  # fmt: skip
    lines = (tmp_path / "out" / "backtest.txt").read_text("utf-8").splitlines()
    assert {"Verdict over all origins", "AUC: the model's, and each baseline's with what the model is above it"} <= {
        line.removesuffix(" (95 % intervals)") for line in lines
    }
    assert max(map(len, lines)) <= 120  # a terminal's width
    _is_recorded(found["run_id"], tmp_path)
    assert holdfast("score").code == 4


def _is_recorded(run_id: str, folder: Path) -> None:
    from mlflow import MlflowClient  # noqa: PLC0415 costs seconds

    client = MlflowClient(f"sqlite:///{folder / 'holdfast-data' / 'mlflow.db'}")
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["origins"] == 2
    assert len(client.get_metric_history(run_id, "auc_by_origin")) == 2
    assert {item.path for item in client.list_artifacts(run_id)} >= {"backtest.json", "over_time.png"}


def test_what_cannot_be_tested_is_refused_in_words(holdfast: Holdfast, tmp_path: Path) -> None:
    assert holdfast("backtest").code == 4
    assert holdfast("ingest", _events(tmp_path)).code == 0
    long = holdfast("backtest", "--look-back", "90d", "--horizon", "60d", "--no-record")
    assert (long.code, "the history is too short" in long.err) == (3, True)
    odd = holdfast("backtest", *SMALL, "--every", "monthly", "--no-record")
    assert (odd.code, "expected whole days or weeks" in odd.err) == (3, True)
    assert holdfast("backtest", "--origins", "0").code == 2
    assert not (tmp_path / "holdfast-data" / "mlflow.db").exists()


def test_an_interrupted_backtest_leaves_nothing_half(holdfast: Holdfast, tmp_path: Path) -> None:
    assert holdfast("ingest", _events(tmp_path)).code == 0
    command = [sys.executable, "-P", "-c", TALKATIVE, "backtest", *SMALL, "--to", "out"]
    started = subprocess.Popen(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert started.stderr is not None
    for line in started.stderr:
        if line.startswith("Back-testing"):
            break
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=120)
    assert (started.returncode, out) == (130, ""), err
    assert "nothing was lost" in err
    assert {path.name for path in tmp_path.iterdir()} == {"events.csv", "holdfast-data"}
    assert not (tmp_path / "holdfast-data" / "mlflow.db").exists()
    assert list((tmp_path / "holdfast-data" / "locks").glob("backtest.json")) == []
