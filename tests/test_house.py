"""What is true of every file of the project."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HOUSE = Path(__file__).resolve().parent.parent
PACKAGES = ("features", "models", "training", "serving", "holdfast")
LONGEST_FILE = 400
REGISTRY_HOSTS = re.compile(
    r"pypi\.org|pythonhosted|crates\.io|registry\.npmjs|conda\.anaconda|/simple/", re.IGNORECASE
)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|home|Users|root|tmp/[a-z]+)/\w")


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=HOUSE, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this copy of the project is not a git repository, so what is tracked is unknown")
    names = listed.stdout.decode().split("\0")
    return [HOUSE / name for name in names if name and (HOUSE / name).is_file()]


def texts() -> list[tuple[Path, str]]:
    found = []
    for path in tracked():
        try:
            found.append((path.relative_to(HOUSE), path.read_text("utf-8")))
        except UnicodeDecodeError:
            continue  # a picture or another binary file
    return found


def modules() -> list[Path]:
    return [path for name in PACKAGES for path in sorted((HOUSE / name).rglob("*.py"))]


def pyproject() -> dict[str, dict[str, object]]:
    return tomllib.loads((HOUSE / "pyproject.toml").read_text("utf-8"))


def locked() -> dict[str, list[str]]:
    """The locked versions by name; one name has several where they differ by Python version."""
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ \\;]+)", lock(), re.MULTILINE):
        versions.setdefault(canonicalize_name(name), []).append(version)
    return versions


def lock() -> str:
    return (HOUSE / "requirements.lock").read_text("utf-8")


def test_no_tracked_file_names_a_package_registry() -> None:
    here = Path(__file__).relative_to(HOUSE)
    assert [str(path) for path, text in texts() if path != here and REGISTRY_HOSTS.search(text)] == []


def test_no_tracked_file_names_a_path_of_one_machine() -> None:
    here = Path(__file__).relative_to(HOUSE)
    assert [str(path) for path, text in texts() if path != here and MACHINE_PATHS.search(text)] == []


def test_the_lock_has_a_hash_for_every_package_and_no_address() -> None:
    packages = re.split(r"^(?=[A-Za-z0-9])", lock(), flags=re.MULTILINE)[1:]
    assert len(packages) > 50
    assert [entry.split("==")[0] for entry in packages if "--hash=sha256:" not in entry] == []
    assert not re.search(r"https?://|--index-url|--find-links", lock())


def test_the_lock_is_in_step_with_pyproject() -> None:
    project = pyproject()["project"]
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    groups = [project["dependencies"], *extras.values()]
    wanted = [Requirement(line) for group in groups for line in group]
    versions = locked()
    missing = [
        str(need)
        for need in wanted
        if not any(
            need.specifier.contains(found, prereleases=True) for found in versions.get(canonicalize_name(need.name), [])
        )
    ]
    assert missing == [], "run `make lock`"


def test_every_module_says_what_it_is_for() -> None:
    assert [
        str(path.relative_to(HOUSE)) for path in modules() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ] == []


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    code = [path for path in tracked() if path.suffix == ".py"]
    assert [
        str(path.relative_to(HOUSE)) for path in code if len(path.read_text("utf-8").splitlines()) > LONGEST_FILE
    ] == []


def test_every_ignore_says_which_rule_it_ignores_and_why() -> None:
    bare = re.compile(r"#\s*(?:type: ignore|noqa)(?!\s*[\[:])|#\s*type: ignore\[[^]]*\]\s*$", re.MULTILINE)
    assert [str(path.relative_to(HOUSE)) for path in modules() if bare.search(path.read_text("utf-8"))] == []


def test_mlflow_is_named_where_it_may_be_only() -> None:
    importing = re.compile(r"^\s*(?:import|from) mlflow\b", re.MULTILINE)
    found = {str(path.relative_to(HOUSE)) for path in modules() if importing.search(path.read_text("utf-8"))}
    assert found <= {
        "models/pyfunc.py",
        "models/registry.py",
        "training/mlflow_source.py",
        "training/tracking.py",
    }


def test_tests_are_no_packages() -> None:
    assert list((HOUSE / "tests").rglob("__init__.py")) == []


def test_the_wheel_brings_all_floors() -> None:
    wheel = tomllib.loads((HOUSE / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert sorted(wheel["packages"]) == sorted(PACKAGES)


def test_continuous_integration_calls_the_same_words() -> None:
    words = {"make check", "make test"}
    for place in (".ci/run", ".github/workflows/check.yml"):
        text = (HOUSE / place).read_text("utf-8")
        assert all(word in text for word in words), place
