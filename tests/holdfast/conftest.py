"""The command line as a function: arguments in; exit code, stdout and stderr out."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.failures import run
from tests.said import Said

Holdfast = Callable[..., Said]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("HOLDFAST_") or name == "MLFLOW_TRACKING_URI"]:
        monkeypatch.delenv(name)


@pytest.fixture
def holdfast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Holdfast:
    """Run a command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Said:
        capfd.readouterr()
        code = run(list(arguments))
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return call
