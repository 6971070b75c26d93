"""The documentation is true: what it shows is run, and its lists are compared with the code."""

import contextlib
import inspect
import io
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement

from features import events, instants
from features.language import Selection
from holdfast.cli import EXIT_CODES
from holdfast.failures import run
from holdfast.folder import Folder
from serving.app import create_app
from serving.settings import ServiceSettings
from tests.pages import HOUSE, Block, agrees, names, page, pages, rows, without_progress
from training.metrics import METRICS

SHOWN_ADDRESS = "http://127.0.0.1:8000"
TOKEN = re.compile(r"hf_live_[0-9A-Za-z]{49}")
# Every block that is not run, by its page and first line, and why.
NOT_RUN = {
    ("README.md", "git clone … holdfast && cd holdfast"): "needs the network; the workflow does the same",
    ("README.md", "$ make demo ARGS=--no-serve"): "takes minutes; the workflow runs it",
    ("CONTRIBUTING.md", "make setup"): "takes minutes, and would run these very tests",
    ("docs/training.md", "holdfast train --activity purchase --activity return \\"): "a second training; see below",
    (
        "docs/mlflow.md",
        "mlflow ui --backend-store-uri sqlite:///holdfast-data/mlflow.db",
    ): "MLflow's own, slow to start",
    ("docs/mlflow.md", 'say = mlflow.pyfunc.spark_udf(session, "models:/holdfast@champion", env_manager="local")'): (
        "needs Spark for a minute; tests/training/test_mlflow_client.py does the same"
    ),
    ("docs/report.md", "holdfast train --report reports/november.html"): "a second training",
    (
        "docs/api.md",
        'curl -s --data-binary @users.ndjson -H "Content-Type: application/x-ndjson" \\',
    ): "needs a file of the reader's; tests/serving/test_jobs.py does it",
    ("docs/operations.md", "#!/bin/sh"): "needs folders of the reader's; each command is run elsewhere",
    ("docs/operations.md", 'sqlite3 holdfast-data/store.db ".backup backup/store.db"'): "needs the program sqlite3",
    (
        "docs/monitoring.md",
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 OTEL_SERVICE_NAME=churn holdfast serve",
    ): "needs a collector",
    (
        "docs/deploy.md",
        "holdfast store copy sqlite:///holdfast-data/store.db postgresql://holdfast@db.example.com/holdfast",
    ): "needs a PostgreSQL; tests/serving/test_store_copy.py does it",
}
RUN, QUIET = {"console", "python", "toml"}, {"text"}
NOTED_LATER = "holdfast audit"  # lists what the service writes down every second, so not at once


@dataclass
class Project:
    """The folder in which all blocks run, one after the other, as a reader would."""

    folder: Path
    code: int = 0
    token: str = ""
    port: int = 0
    server: "subprocess.Popen[bytes] | None" = None
    spaces: dict[str, dict[str, object]] = field(default_factory=dict)  # what each page's snippets have defined

    def type(self, command: str) -> str:
        """What a command says: its result, else its error without progress."""
        if command.startswith("KEY="):
            return ""
        if command == "echo $?":
            return str(self.code)
        if command == "holdfast serve":
            return self.serve()
        self.code, out, err = self._in_process(command) if _is_plain(command) else self._in_shell(command)
        self.token = found[0] if (found := TOKEN.findall(out)) else self.token
        return (out or without_progress(err)).replace(self.address, SHOWN_ADDRESS)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self) -> str:
        if self.server is None:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self.port = probe.getsockname()[1]
            command = [sys.executable, "-P", "-m", "holdfast", "serve", "--port", str(self.port)]
            with (self.folder / "serve.log").open("wb") as log:
                self.server = subprocess.Popen(command, cwd=self.folder, stderr=log)
            _wait_for(f"{self.address}/livez")
        return (self.folder / "serve.log").read_text().splitlines()[0].replace(self.address, SHOWN_ADDRESS)

    def stop(self) -> None:
        if self.server is not None:
            self.server.send_signal(signal.SIGINT)
            self.server.wait(30)

    def execute(self, block: Block) -> None:
        space = self.spaces.setdefault(block.page, {"__name__": block.page})
        space["KEY"] = self.token
        source = block.body.replace(SHOWN_ADDRESS, self.address)
        exec(compile("\n" * block.line + source, block.page, "exec"), space)  # noqa: S102 our own pages

    def _in_process(self, command: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(shlex.split(command)[1:])
        return code, out.getvalue(), err.getvalue()

    def _in_shell(self, command: str) -> tuple[int, str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", command.replace(SHOWN_ADDRESS, self.address)],
            cwd=self.folder,
            env={**os.environ, "PATH": path, "KEY": self.token},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    for name in [name for name in os.environ if name.startswith("HOLDFAST_") or name == "MLFLOW_TRACKING_URI"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(HOUSE / "docs")
    made = Project(tmp_path)
    yield made
    made.stop()


def test_what_the_pages_show_is_what_happens(project: Project, subtests: pytest.Subtests) -> None:
    """One test, because all pages share one training."""
    if shutil.which("curl") is None:
        pytest.skip("the pages show curl, which is not installed")
    for block in [block for found in pages() for block in found.blocks()]:
        before = dict(os.environ)
        with subtests.test(block.place):
            _try_out(block, project)
        os.environ.clear()  # MLflow leaves its address behind for child processes
        os.environ.update(before)


def _try_out(block: Block, project: Project) -> None:
    if block.mark.startswith("file: "):
        (project.folder / block.mark.removeprefix("file: ")).write_text(block.body, "utf-8")
    elif block.mark == "not run" or block.kind in QUIET:
        return
    elif block.kind == "python":
        project.execute(block)
    else:
        for command, shown in block.commands():
            said, deadline = project.type(command), time.monotonic() + 5
            while command.startswith(NOTED_LATER) and time.monotonic() < deadline:
                if agrees(shown, said, mark=block.mark):
                    break
                time.sleep(0.2)
                said = project.type(command)
            assert agrees(shown, said, mark=block.mark), f"$ {command}\nshown:\n{shown}\nsaid:\n{said}"
            assert project.code == 0 or command == "echo $?" or '"error"' in said or said.startswith("error:"), said


def test_only_what_is_listed_is_not_run() -> None:
    blocks = [block for found in pages() for block in found.blocks()]
    assert {(b.page, b.body.split("\n")[0].split("  ")[0]) for b in blocks if b.mark == "not run"} == NOT_RUN.keys()
    assert [b.place for b in blocks if b.mark != "not run" and b.kind not in RUN | QUIET] == []
    assert [b.place for b in blocks if b.kind == "text" and b.mark != "not run" and "\n$ " in f"\n{b.body}"] == []
    known = {"", "not run", "sample", "figures differ"}
    assert [b.place for b in blocks if b.mark not in known and not b.mark.startswith("file: ")] == []


def test_the_options_of_commands_that_are_not_run_exist() -> None:
    from holdfast.cli import cli  # noqa: PLC0415 as click loads it

    command = cli.get_command(None, "train")  # type: ignore[arg-type] # the context is not used
    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}
    for text in ("README.md", "docs/training.md"):
        lines = re.findall(r"holdfast train (--(?:[^\n]|\\\n)*)", page(text).text)
        assert {option for line in lines for option in re.findall(r"--[a-z-]+", line)} <= known


def test_a_wrong_output_is_noticed() -> None:
    assert agrees("Read 3 rows: …", "Read 3 rows: 1 new", mark="")
    assert not agrees("Read 3 rows: …", "Read 4 rows: 1 new", mark="")
    assert agrees("Read 3 rows", "Read 4 rows", mark="figures differ")
    assert not agrees("Read 3 rows", "Wrote 3 rows", mark="figures differ")
    assert agrees('{"a": 1, "b": [{"c": 2}]}', '{"b": [{"c": 3}, {"c": 4}], "a": 5}', mark="sample")
    assert not agrees('{"a": 1}', '{"b": 1}', mark="sample")
    assert agrees("one\n…\nlast", "one\ntwo\nthree\nlast", mark="")
    assert not agrees("one\n…\nlast", "one\ntwo\nthree", mark="")


def test_every_link_leads_somewhere() -> None:
    dead = []
    for found in pages():
        for link in found.links():
            target, _, anchor = link.partition("#")
            there = found.path.parent / target if target else found.path
            if link.startswith("https://"):
                continue
            if not there.exists() or (anchor and anchor not in page(str(there.resolve().relative_to(HOUSE))).anchors()):
                dead.append(f"{found.name}: {link}")
    assert dead == []


def test_every_quarantine_code_is_listed() -> None:
    listed = names(page("docs/data.md").section("Quarantine"))
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) == set(_quarantine_codes())


def _quarantine_codes() -> Iterator[str]:
    """The codes as the checks make them: their prefixes, and the columns that each check is for."""
    for check, column, required in re.findall(
        r'checks\.(\w+)\("(\w+)"(?:,[^)\n]*required=(\w+))?', inspect.getsource(events.validate)
    ):
        source = inspect.getsource(getattr(events._Checks, check))
        for called in re.findall(r"self\.(_reject_\w+)\(", source):
            source += inspect.getsource(getattr(events._Checks, called))
        for prefix in re.findall(r'f"(\w+)_\{name\}"', source):
            if prefix != "missing" or required != "False":
                yield f"{prefix}_{column}"
        if "{problem}_{name}" in source:
            yield from (f"{problem}_{column}" for problem in events._TIME_SENTENCES)
    for file in (HOUSE / "features" / "sources").glob("*.py"):
        yield from re.findall(r'Rejection\([^\n]*"([a-z]+_[a-z]+)"', file.read_text())


def test_every_time_that_is_refused_has_a_sentence() -> None:
    assert set(re.findall(r'"(bad|naive|ambiguous)"', inspect.getsource(instants))) <= events._TIME_SENTENCES.keys()


def test_every_route_is_listed_with_its_scope(tmp_path: Path) -> None:
    document = create_app(ServiceSettings(store_url=f"sqlite:///{tmp_path / 'store.db'}")).openapi()
    served = {
        f"{method.upper()} {path}": operation.get("security", [{"key": ["none"]}])[0]["key"][0]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    routes = [row for row in rows(page("docs/api.md").section("Routes")) if "/" in row[0]]
    assert {row[0].strip("`"): row[1].strip("`") for row in routes} == served
    score = set(document["components"]["schemas"]["ScoreOut"]["properties"])
    fields = page("docs/api.md").section("Routes").split("fields:")[1].split("###")[0]
    assert set(names(fields)) == score


def test_every_metric_and_every_finding_is_listed() -> None:
    assert set(names(page("docs/training.md").section("The metrics"))) == set(METRICS)
    source = (HOUSE / "training" / "verdict.py").read_text()
    codes = re.findall(r'Finding\(\s*f?"([^"]+)"', source)
    rules = re.findall(r'\("(\w+)", "[^"]*"\)', source)
    assert len(rules) == 2
    expanded = {code.replace("{name}", rule) for code in codes for rule in rules}
    assert set(names(page("docs/training.md").section("The verdict"))) == expanded


def test_every_operator_of_the_language_is_listed() -> None:
    listed = " ".join(names(page("docs/features.md").section("What can be said of a selection")))
    operators = {name for name in vars(Selection) if not name.startswith("_") and name != "chosen"}
    assert set(re.findall(r"(\w+)\(", listed)) == operators


def test_every_exit_code_is_listed() -> None:
    listed = [row[0] for row in rows(page("docs/operations.md").section("Exit codes"))]
    assert listed == re.findall(r"^  (\d+) ", EXIT_CODES, re.MULTILINE)


def test_everything_in_the_data_folder_is_listed() -> None:
    listed = {name.strip("/") for name in names(page("docs/operations.md").section("Folders"))}
    folder = Folder(Path("data"))
    paths = [folder.events, folder.quarantine, folder.champion, folder.artifacts, folder.report]
    addresses = [folder.store_url, folder.tracking_uri]
    assert {path.name for path in paths} | {address.rsplit("/", 1)[1] for address in addresses} <= listed


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    sections = {
        "To run": project["dependencies"],
        "For the demo": extras["demo"],
        "For PostgreSQL": extras["postgres"],
        "For traces": extras["otel"],
        "For Spark": extras["spark"],
        "To work on it": extras["dev"],
        "For benchmarks": extras["bench"],
    }
    assert extras.keys() == {"demo", "dev", "bench", "otel", "postgres", "spark"}
    for title, lines in sections.items():
        told = rows(page("docs/decisions/dependencies.md").section(title))
        assert [row[0].strip("`") for row in told] == [Requirement(line).name for line in lines], title
        assert all(len(row) == 2 and row[1] for row in told)


def test_every_decision_names_a_test_that_exists() -> None:
    decisions = [found for found in pages() if found.name.startswith("docs/decisions/")]
    for found in decisions:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", found.text)
        assert named or found.path.stem in {"README", "dependencies"}, found.name
        missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in (HOUSE / file).read_text("utf-8")]
        assert missing == [], found.name
    listed = page("docs/decisions/README.md").links()
    assert sorted(listed) == sorted(found.path.name for found in decisions if found.path.stem != "README")


def _is_plain(command: str) -> bool:
    return command.startswith("holdfast ") and not set(command) & set("|<>;&$*`")


def _wait_for(address: str, *, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            httpx.get(address)
        except httpx.TransportError:
            assert time.monotonic() < until, f"{address} did not answer in time"
            time.sleep(0.1)
        else:
            return
