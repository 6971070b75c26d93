"""The files under deploy/ cannot be run here; they are linted, and all that they name exists."""

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from yamllint import linter
from yamllint.config import YamlLintConfig

from holdfast import config
from holdfast.cli import cli
from holdfast.settings import Serve
from serving.app import create_app
from serving.problem_kinds import KINDS
from serving.rules import RULES
from serving.settings import ServiceSettings
from tests.test_house import HOUSE

DEPLOY = HOUSE / "deploy"
YAML = sorted([*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml")])
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
UNITS = sorted((DEPLOY / "systemd").iterdir())
LINT = """
extends: default
rules: {line-length: {max: 120}, document-start: disable, braces: {max-spaces-inside: 1}}
"""
OWN = {"HOLDFAST_CONFIG", "HOLDFAST_DATABASE_PASSWORD"}  # the second is the compose file's


def text(name: str) -> str:
    return (DEPLOY / name).read_text("utf-8")


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text("utf-8")))


def everything() -> str:
    return "\n".join(path.read_text("utf-8") for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".lock")


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_the_yaml_is_tidy(path: Path) -> None:
    assert [str(problem) for problem in linter.run(path.read_text("utf-8"), YamlLintConfig(LINT))] == []


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_knows_every_field(path: Path) -> None:
    for document in documents(path):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not on this machine")
    for unit in UNITS:
        there = unit.read_text("utf-8").replace("/opt/holdfast/bin/holdfast", "/bin/true")
        (tmp_path / unit.name).write_text(there, "utf-8")
    units = [str(tmp_path / unit.name) for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "holdfast" in line and str(tmp_path) in line] == []


def test_every_setting_that_is_named_exists() -> None:
    named = set(re.findall(r"\bHOLDFAST_[A-Z_]+\b", everything()))
    known = {entry.variable for entry in config.entries()} | OWN
    assert named <= known
    assert "HOLDFAST_STORE_URL" in named


def test_every_setting_has_a_value_that_is_understood() -> None:
    entries = {entry.variable: entry for entry in config.entries()}
    pairs = re.findall(r'\b(HOLDFAST_[A-Z_]+)(?:=|: )"?([^"\s\\]+)', everything())
    checked = [config.parse(entries[name], value) for name, value in pairs if name in entries]
    assert len(checked) > 10


def test_every_command_that_is_named_exists_with_its_options() -> None:
    found = list(commands())
    assert {words[0] for words in found} == {"serve", "cycle", "keys", "webhooks"}
    for words in found:
        command: click.Command | None = cli.get_command(click.Context(cli), words[0])
        if isinstance(command, click.Group) and len(words) > 1:
            command = command.get_command(click.Context(command), words[1])
        assert command is not None
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, words


def commands() -> Iterator[list[str]]:
    """What is given to `holdfast` anywhere: in shells, units, and as lists."""
    for line in everything().splitlines():
        for words in re.findall(r"(?:bin/|exec |do |\"| serve )holdfast ((?:[\w./*-]+ ?)+)", line):
            yield shlex.split(words)
    docker = text("Dockerfile")
    yield json.loads(re.findall(r"^CMD (.+)$", docker, re.MULTILINE)[-1])
    yield documents(DEPLOY / "compose.yaml")[0]["services"]["serve"]["command"]
    yield documents(DEPLOY / "compose.yaml")[0]["services"]["webhooks"]["command"]
    yield from (container(name)["args"] for name in ("serve.yaml", "webhooks.yaml"))


def container(name: str) -> dict[str, Any]:
    for document in documents(DEPLOY / "kubernetes" / name):
        spec = document.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template:
            found: dict[str, Any] = template["spec"]["containers"][0]
            return found
    raise AssertionError(name)


def test_every_path_and_port_is_one_of_the_service() -> None:
    serve = container("serve.yaml")
    probes = [serve[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert [("GET", probe["path"]) in RULES for probe in probes] == [True] * 3
    assert {probe["port"] for probe in probes} == {serve["ports"][0]["name"]}
    assert serve["ports"][0]["containerPort"] == Serve().port == int(serve["args"][-1])
    docker = text("Dockerfile")
    assert re.findall(r"^EXPOSE (\d+)$", docker, re.MULTILINE) == [str(Serve().port)]
    assert f"http://127.0.0.1:{Serve().port}/livez" in docker
    assert f"server 127.0.0.1:{Serve().port} " in text("nginx.conf")
    hidden = re.findall(r"location ~ \^/\(([^)]+)\)", text("nginx.conf"))[0].replace("\\", "").split("|")
    opened = {path.split("/")[1] for (_, path), rule in RULES.items() if rule.scope is None}
    assert set(hidden) == opened, "what needs no key stays inside"


def test_everybody_is_given_time_to_finish() -> None:
    settings = documents(DEPLOY / "kubernetes" / "config.yaml")[0]["data"]
    pod = documents(DEPLOY / "kubernetes" / "serve.yaml")[0]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > needed(settings)
    composed = documents(DEPLOY / "compose.yaml")[0]["services"]["serve"]
    assert int(composed["stop_grace_period"].rstrip("s")) > needed(composed["environment"])
    unit = text("systemd/holdfast.service")
    said = dict(re.findall(r"^Environment=(\w+)=(\S+)$", unit, re.MULTILINE))
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[0]) > needed(said)


def needed(settings: dict[str, str]) -> float:
    return float(settings["HOLDFAST_SERVE_DRAIN_SECONDS"]) + float(settings["HOLDFAST_SERVE_SHUTDOWN_SECONDS"])


def test_nobody_is_root_and_no_secret_is_written_down() -> None:
    docker = text("Dockerfile")
    assert re.findall(r"^USER (\S+)$", docker, re.MULTILINE)[-1].startswith("10001")
    for name in ("serve.yaml", "cycle.yaml"):
        inside = container(name)["securityContext"]
        assert inside["readOnlyRootFilesystem"]
        assert inside["capabilities"] == {"drop": ["ALL"]}
        assert {"limits", "requests"} <= container(name)["resources"].keys()
    assert all("User=holdfast" in unit.read_text() for unit in UNITS if unit.suffix == ".service")
    assert re.findall(r"(?i)(?:password|secret|token)['\"]?\s*[:=]\s*[\"']?[A-Za-z0-9]{6,}", everything()) == []
    assert not any(document["kind"] == "Secret" for path in MANIFESTS for document in documents(path))


def test_the_image_is_made_of_what_there_is_and_of_the_locked_versions() -> None:
    docker = text("Dockerfile")
    copied = [words.split()[:-1] for words in re.findall(r"^COPY (?!--from)(.+)$", docker, re.MULTILINE)]
    allowed = {line[1:] for line in text("Dockerfile.dockerignore").splitlines() if line.startswith("!")}
    assert {name for words in copied for name in words} == allowed
    assert all((HOUSE / name).exists() for name in allowed)
    assert docker.count("--require-hashes") == docker.count("pip install") - 1, "all but our own wheel"
    main, image = locked(HOUSE / "requirements.lock"), locked(DEPLOY / "requirements.lock")
    assert {name: versions for name, versions in image.items() if not versions <= main.get(name, set())} == {}
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["postgres"], *extras["otel"]]
    assert {canonicalize_name(Requirement(line).name) for line in wanted} <= image.keys(), "run `make lock`"


def locked(path: Path) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ \\;]+)", path.read_text(), re.MULTILINE):
        versions.setdefault(canonicalize_name(name), set()).add(version)
    return versions


def test_every_alarm_is_about_numbers_that_there_are_and_is_explained(tmp_path: Path) -> None:
    rules = documents(DEPLOY / "prometheus-rules.yml")[0]["groups"][0]["rules"]
    told = "\n".join(rule["expr"] for rule in rules)
    named = {re.sub("_(bucket|count|sum)$", "", name) for name in re.findall(r"\bholdfast_\w+", told)}
    source = (HOUSE / "serving" / "metrics.py").read_text("utf-8")
    known = {f"holdfast_{name}" for name in re.findall(r'\(\s*"(?:holdfast_)?([a-z_]+)", "', source.replace("\n", " "))}
    known |= set(re.findall(r'"(holdfast_[a-z_]+)"', source)) | {"holdfast_problems_total"}
    assert named <= known
    assert set(re.findall(r'code="(\w+)"', told)) <= KINDS.keys()
    app = create_app(ServiceSettings(f"sqlite:///{tmp_path / 'store.db'}"))
    patterns = {getattr(route, "path_format", "") for route in app.routes}
    app.state.store.close()
    assert set(re.findall(r'route="([^"]+)"', told)) <= patterns
    page = (HOUSE / "docs" / "monitoring.md").read_text("utf-8")
    assert [rule["alert"] for rule in rules if f"`{rule['alert']}`" not in page] == []
