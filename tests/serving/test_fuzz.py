"""What a machine makes up from the OpenAPI document, sensible or not, at every address of a real service.

Schemathesis with all its checks: no 5xx, no undocumented status, header or body, nothing accepted that the document
forbids, nothing refused that it allows, no address without its key, nothing there after it was deleted. The seed is
fixed; `FUZZ_SEED=random FUZZ_EXAMPLES=300 make test ARGS=tests/serving/test_fuzz.py` looks further.
"""

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from serving.store import ScoreStore
from tests.live import ROOT, Live, live
from tests.open_shop import OpenShop

SEED = os.environ.get("FUZZ_SEED", "1")
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "3")
CHECKS = """
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "404", "405", "406", "408", "409", "413", "414", "415", "422", "431"]
[auth.openapi.key]
bearer = "{token}"
"""


@pytest.mark.parametrize(
    ("url", "phases"),
    [("sqlite", "examples,coverage,fuzzing,stateful"), ("postgresql", "fuzzing,stateful")],
    indirect=["url"],
)
def test_no_address_does_what_its_document_does_not_say(
    url: str, phases: str, shop_of_today: OpenShop, empty_store: ScoreStore, tmp_path: Path
) -> None:
    for _ in range(3):
        shop_of_today.score(empty_store)
    log = tmp_path / "log"
    with live(url, folder=shop_of_today.folder, log=log, jobs_folder=str(tmp_path / "jobs")) as service:
        service.wait_for_the_champion()
        done = fuzzed(service, tmp_path, phases=phases)
    assert done.returncode == 0, readable(done.stdout)
    assert "Traceback" not in log.read_text()


def fuzzed(service: Live, folder: Path, *, phases: str) -> "subprocess.CompletedProcess[str]":
    seed = str(secrets.randbits(32)) if SEED == "random" else SEED
    config = folder / "schemathesis.toml"
    config.write_text(CHECKS.format(token=service.token))
    told = {"PYTHONPATH": str(ROOT), "FUZZED": service.address, "FUZZED_BY": service.headers["authorization"]}
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        str(config),
        "run",
        service.address + "/openapi.json",
    ]
    options = [
        "--checks",
        "all",
        "--phases",
        phases,
        "--seed",
        seed,
        "-n",
        EXAMPLES,
        "--continue-on-failure",
        "--no-color",
    ]
    return subprocess.run(
        [*command, *options],
        env={**os.environ, **told, "SCHEMATHESIS_HOOKS": "tests.serving.fuzzing"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def readable(text: str) -> str:
    """The findings, without kilobytes of made-up text."""
    found = text[max(text.find("= ERRORS ="), text.find("= FAILURES ="), 0) :]
    return "\n".join(re.sub(r"(.{500}).+", r"\1 …", line) for line in found.splitlines())
