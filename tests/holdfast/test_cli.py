"""The front door: help, exit codes, one JSON document, no traceback."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.cli import COMMANDS

HEAVY = (
    "mlflow",
    "lightgbm",
    "pandas",
    "numba",
    "pyarrow",
    "sklearn",
    "deltalake",
    "sqlalchemy",
    "fastapi",
    "pydantic",
)
Holdfast = Callable[..., Any]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["features", "build", "-h"]])
def test_help_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys, json\nfrom holdfast.failures import run\n"
        f"code = run({arguments!r})\n"
        f"print(json.dumps([code, sorted(set(sys.modules) & set({HEAVY!r}))]), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(ran.stderr) == [0, []]


def test_help_names_every_command_and_every_exit_code(holdfast: Holdfast) -> None:
    said = holdfast("--help")
    assert said.code == 0
    assert "  A first run on your own data:\n    holdfast init\n    holdfast ingest events.parquet" in said.out
    assert [name for name in COMMANDS if f"  {name} " not in said.out] == []
    assert [
        code for code in ("0 ", "1 ", "2 ", "3 ", "4 ", "5 ", "6 ", "70 ", "74 ", "130 ") if f"  {code}" not in said.out
    ] == []


GROUPS = {"keys", "store", "webhooks"}  # which only hold commands
OF_WEBHOOKS = tuple(
    f"webhooks {name}" for name in ("add", "deliver", "deliveries", "list", "remove", "resend", "rotate", "test")
)
OF_FEATURES = ("features build", "features dictionary", "features diff", "features late", "features bots")


@pytest.mark.parametrize("name", [*COMMANDS, "keys create", "keys list", "keys revoke", *OF_FEATURES, *OF_WEBHOOKS])
def test_every_command_has_an_example_and_json(name: str, holdfast: Holdfast) -> None:
    said = holdfast(*name.split(), "--help")
    assert said.code == 0
    assert f"Example:\n    holdfast {name}" in said.out
    assert "--json" in said.out or name in GROUPS
    assert "\\b" not in said.out  # what keeps lines as they are is not to be read


def test_a_near_miss_of_a_command_is_told_what_was_meant(holdfast: Holdfast) -> None:
    said = holdfast("trian")
    assert said.code == 2
    assert "Did you mean 'train'?" in said.err


def test_an_option_of_the_wrong_type_is_a_usage_error(holdfast: Holdfast) -> None:
    said = holdfast("serve", "--port", "http")
    assert (said.code, said.out) == (2, "")
    assert "'http'; expected a whole number" in said.err


def test_an_unknown_setting_in_the_environment_is_bad_input(
    holdfast: Holdfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_STORE_URI", "sqlite:///x.db")
    said = holdfast("keys", "list")
    assert said.code == 3
    assert "HOLDFAST_STORE_URI. Did you mean 'HOLDFAST_STORE_URL'?" in said.err


def test_init_writes_once(holdfast: Holdfast, tmp_path: Path) -> None:
    assert holdfast("init", "--json").document == {"written": "holdfast.toml"}
    (tmp_path / "holdfast.toml").write_text("# mine\n")
    again = holdfast("init")
    assert again.code == 3
    assert "left as it is; --force overwrites it" in again.err
    assert (tmp_path / "holdfast.toml").read_text() == "# mine\n"
    assert holdfast("init", "--force").code == 0
    assert "look_back" in (tmp_path / "holdfast.toml").read_text()


def test_an_error_with_json_is_one_document_and_a_line(holdfast: Holdfast) -> None:
    holdfast("init")
    said = holdfast("init", "--json")
    assert said.code == 3
    assert said.document["error"]["code"] == "bad_input"
    assert said.err.count("\n") == 1


def test_a_key_is_shown_once_and_can_be_revoked(holdfast: Holdfast) -> None:
    made = holdfast("keys", "create", "--name", "crm", "--scope", "scores:read", "--expires", "90d", "--json").document
    assert made["token"].startswith("hf_live_")
    listed = holdfast("keys", "list", "--json")
    assert made["token"] not in listed.out
    assert [key["works"] for key in listed.document["keys"]] == [True]
    assert holdfast("keys", "revoke", "crm").code == 0
    assert [key["works"] for key in holdfast("keys", "list", "--json").document["keys"]] == [False]


def test_a_scope_that_is_none_is_bad_input(holdfast: Holdfast) -> None:
    said = holdfast("keys", "create", "--name", "crm", "--scope", "scores:raed")
    assert said.code == 3
    assert "expected one or more of scores:read" in said.err


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    program = f"{sys.executable} -P -m holdfast --help | head -1; echo ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    assert ran.stdout.splitlines()[0].startswith("Usage: holdfast")


def test_a_fault_shows_its_traceback_only_when_asked(holdfast: Holdfast, tmp_path: Path) -> None:
    (tmp_path / "holdfast-data").write_text("a file where the folder should be")
    quiet = holdfast("keys", "list")
    assert quiet.code == 74
    assert "Traceback" not in quiet.err
    assert "Traceback" in holdfast("--debug", "keys", "list").err
    assert "Traceback" in holdfast("keys", "list", "--debug").err
