"""The doctor names what is wrong and what to do."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast import shadows

Holdfast = Callable[..., Any]


def findings(said: Any) -> dict[str, dict[str, str]]:  # Any: the fixture's answer
    return {finding["check"]: finding for finding in said.document["findings"]}


def test_an_empty_folder_has_nothing_to_mend_but_much_to_do(holdfast: Holdfast) -> None:
    said = holdfast("doctor", "--json", "--port", "0")
    found = findings(said)
    assert (said.code, said.document["errors"]) == (0, 0)
    assert [found[check]["state"] for check in ("python", "packages", "shadows")] == ["ok"] * 3
    assert found["event log"]["state"] == found["model"]["state"] == found["scores"]["state"] == "warning"
    assert "holdfast ingest" in found["event log"]["message"] + found["event log"]["advice"]


def test_looking_around_makes_nothing(holdfast: Holdfast, tmp_path: Path) -> None:
    holdfast("doctor")
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_found(holdfast: Holdfast) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        found = findings(holdfast("doctor", "--json", "--port", port))["port"]
    assert found["state"] == "warning"
    assert "--port" in found["advice"]


def test_a_damaged_log_is_an_error_and_exit_code_one(holdfast: Holdfast, tmp_path: Path) -> None:
    log = tmp_path / "holdfast-data" / "events" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("not JSON\n")
    said = holdfast("doctor", "--json")
    assert said.code == 1
    assert findings(said)["event log"]["state"] == "error"


def test_a_folder_that_python_would_take_for_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    assert shadows.folders_in(tmp_path)[0].startswith(f"{tmp_path}/features would be taken")


def test_a_package_that_hides_ours_is_named_before_anything_is_imported(tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "__init__.py").touch()
    ran = subprocess.run(
        [sys.executable, "-m", "holdfast", "doctor"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "another package hides one of Holdfast's" in ran.stderr
    assert "Traceback" not in ran.stderr
