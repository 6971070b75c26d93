"""The registry: bundles as versions of an MLflow model, with `champion` for the one that serves.

MLflow costs seconds to import, so it is imported inside functions, and what serves never needs it: promoting a version
also copies its bundle to `<champion folder>/<version>/` and then moves a small pointer, `champion.json`, which
`champion_pointer` reads in microseconds. The copy is whole before the pointer names it, and the version before stays
on disk for whoever is still loading it. MLflow's alias is the truth: `Registry.champion` reads it, and mends the
pointer when somebody moved the alias elsewhere, for example in MLflow's own pages.
"""

import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from features.errors import BadInput, Damaged, NotReady
from models.champions import Change

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
_CHANGE = "champion-"  # tags of the registered model: one for each change of the champion, numbered
_VERDICT = "gate"  # tag of a version and folder of its run: the newest verdict of the gate, and all of them
_POINTER = "champion.json"
_NO_MODEL = "no model yet: run `holdfast train` first."
_LISTED = 20  # versions that a message names
_SQLITE = "sqlite:///"
_NOT_IN_NAMES = frozenset("/:.%\"'")
_SCHEMES = frozenset({"sqlite", "http", "https", "postgresql", "mysql", "mssql", "file", "databricks", "databricks-uc"})
_ADDRESSES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
_SETTINGS = {  # read by MLflow when it is imported or first used
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",  # a bundle is text; nothing else is to be loaded
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nobody outside learns that somebody trains here
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
}


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that serves, and the folder of its bundle for `models.bundle.load`."""

    version: str
    folder: Path


@dataclass(frozen=True)
class Registry:
    """The versions of one model at a tracking address, for example `sqlite:///holdfast-data/mlflow.db`.

    `champion_folder` is where the champion's bundle is kept for serving; beside an SQLite file by default.
    """

    tracking_uri: str
    name: str
    champion_folder: Path = field(default=Path())

    def __post_init__(self) -> None:
        """Raises `BadInput` for a name or an address that MLflow would refuse, after the training and not before."""
        if not self.name.strip() or _NOT_IN_NAMES & set(self.name):
            raise BadInput(f"{self.name!r} cannot be a model's name; expected one without any of / : . % \" '.")
        scheme, colon, _ = self.tracking_uri.partition(":")
        if colon and scheme.partition("+")[0] not in _SCHEMES:
            raise BadInput(
                f"{self.tracking_uri!r} is not an address of MLflow; expected for example https://mlflow.example.com "
                "or sqlite:////srv/holdfast/mlflow.db."
            )
        if self.champion_folder == Path():
            object.__setattr__(self, "champion_folder", champion_folder_of(self.tracking_uri))

    def register(
        self,
        bundle: Path,
        *,
        run_id: str,
        input_example: "pd.DataFrame",
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """The new version's number, as text, after the bundle was logged with the run as a model without pickle.

        `input_example` holds a few feature rows; its columns become the model's signature. `description` (Markdown)
        and `tags` are what MLflow shows of the version.
        """
        with quiet_mlflow(self.tracking_uri) as client:
            from mlflow import pyfunc  # noqa: PLC0415 - costs seconds
            from mlflow.models import Model  # noqa: PLC0415

            example = input_example.astype("float64").reset_index(drop=True)
            logged = Model.log(
                artifact_path=None,  # the old word for a name
                name="model",
                flavor=pyfunc,
                run_id=run_id,
                model_id=self._logged_model(client, run_id),
                python_model=str(Path(__file__).with_name("pyfunc.py")),
                artifacts={"bundle": str(bundle.resolve())},
                signature=_signature(list(example.columns)),
                input_example=example,
                pip_requirements=[f"holdfast=={metadata.version('holdfast')}"],
            )
            self._ensure_name(client)
            version = client.create_model_version(
                self.name,
                source=logged.model_uri,
                run_id=run_id,
                model_id=logged.model_id,
                description=description,
                tags=dict(tags or {}),
            )
            return str(version.version)

    def promote(self, version: str, change: Change | None = None) -> Champion:
        """The version as the new champion: MLflow's aliases first, then the copy and the pointer that serving reads.

        `change` says when, how and why; it is written into the history of champions. `previous` names the version
        before, and a challenger that becomes champion is no challenger any more.
        Raises `BadInput` for a version that there is not, `NotReady` when there is none or it cannot be fetched,
        `Damaged`, before anything is changed, when the bundle fails its own checks.
        """
        from models.bundle import load  # noqa: PLC0415 - LightGBM, which who only reads the pointer need not have

        with quiet_mlflow(self.tracking_uri) as client:
            bundle = self._bundle_of(client, version)
            load(bundle)
            before = self._holder_of(client, CHAMPION) or ""
            client.set_registered_model_alias(self.name, CHAMPION, version)
            if before not in {"", version}:
                client.set_registered_model_alias(self.name, PREVIOUS, before)
            if self._holder_of(client, CHALLENGER) == version:
                client.delete_registered_model_alias(self.name, CHALLENGER)
            if change is not None:
                self._remember(client, replace(change, before=before))
        return _point_to(self.champion_folder, self.name, version=version, bundle=bundle)

    def challenge(self, version: str) -> None:
        """Gives the version the alias `challenger`: it is watched beside the champion and does not serve."""
        with quiet_mlflow(self.tracking_uri) as client:
            client.set_registered_model_alias(self.name, CHALLENGER, version)

    def version_of(self, name: str) -> str:
        """The version of that number, or the one that an alias such as `champion` or `challenger` names.

        Raises `NotReady` when nothing has the alias, `BadInput` for a number that there is not.
        """
        with quiet_mlflow(self.tracking_uri) as client:
            if not name.isdecimal():
                return self._version_of(client, name)
            self._check_version(client, name)
            return name

    def champion_version(self) -> str | None:
        """The version that MLflow's alias names, or None before the first promotion."""
        with quiet_mlflow(self.tracking_uri) as client:
            return self._holder_of(client, CHAMPION)

    def changes(self) -> list[Change]:
        """The changes of the champion that were written down, oldest first."""
        with quiet_mlflow(self.tracking_uri) as client:
            return [Change.from_json(json.loads(text)) for _, text in sorted(self._change_tags(client).items())]

    def keep_verdict(self, version: str, document: dict[str, Any], *, name: str) -> None:  # Any: JSON
        """Keeps a verdict of the gate with a version: in the tag `gate`, and in its run's artifacts for good."""
        text = json.dumps(document, indent=1, allow_nan=False)
        with quiet_mlflow(self.tracking_uri) as client:
            run_id = client.get_model_version(self.name, version).run_id
            if run_id:  # a version that somebody registered by hand may have none
                client.log_text(run_id, text, f"{_VERDICT}/{name}.json")
            client.set_model_version_tag(self.name, version, _VERDICT, json.dumps(document, allow_nan=False))

    def champion(self) -> Champion:
        """The version that MLflow's alias names, copied here if it was not; `NotReady` when there is none."""
        with quiet_mlflow(self.tracking_uri) as client:
            version = self._version_of(client, CHAMPION)
            try:
                pointed = champion_pointer(self.champion_folder)
            except (NotReady, Damaged):
                pointed = None
            if pointed is not None and pointed.version == version:
                return pointed
            bundle = self._bundle_of(client, version)
        return _point_to(self.champion_folder, self.name, version=version, bundle=bundle)

    def bundle(self, version: str) -> Path:
        """The folder of a version's bundle on this machine; raises as `promote`."""
        with quiet_mlflow(self.tracking_uri) as client:
            return self._bundle_of(client, version)

    def _logged_model(self, client: "MlflowClient", run_id: str) -> str:
        """The id of a new model in the run's own experiment; MLflow would take the default one and its folder."""
        experiment = client.get_run(run_id).info.experiment_id
        logged = client.create_logged_model(experiment, name=self.name, source_run_id=run_id)
        return str(logged.model_id)

    def _remember(self, client: "MlflowClient", change: Change) -> None:
        """A tag a change: none is ever written over."""
        place = max((int(key) for key in self._change_tags(client)), default=0) + 1
        client.set_registered_model_tag(self.name, f"{_CHANGE}{place:06}", json.dumps(change.to_json()))

    def _change_tags(self, client: "MlflowClient") -> dict[str, str]:
        tags = client.get_registered_model(self.name).tags if self._is_known(client) else {}
        return {key.removeprefix(_CHANGE): text for key, text in tags.items() if key.startswith(_CHANGE)}

    def _is_known(self, client: "MlflowClient") -> bool:
        return bool(client.search_registered_models(f"name='{self.name}'"))

    def _ensure_name(self, client: "MlflowClient") -> None:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - costs seconds

        try:
            client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _version_of(self, client: "MlflowClient", alias: str) -> str:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - costs seconds

        try:
            return str(client.get_model_version_by_alias(self.name, alias).version)
        except MlflowException as error:
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                raise NotReady(
                    _NO_MODEL if alias == CHAMPION else f"no version is called {alias}; name one by its number."
                ) from error
            raise

    def _holder_of(self, client: "MlflowClient", alias: str) -> str | None:
        try:
            return self._version_of(client, alias)
        except NotReady:
            return None

    def _bundle_of(self, client: "MlflowClient", version: str) -> Path:
        """The folder of a version's bundle: where it lies when that is on this machine, a download otherwise."""
        from mlflow.artifacts import download_artifacts  # noqa: PLC0415 - costs seconds
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

        self._check_version(client, version)
        try:
            model = Path(download_artifacts(artifact_uri=f"models:/{self.name}/{version}"))
        except (MlflowException, OSError) as error:
            raise NotReady(f"version {version} of {self.name} cannot be fetched from the registry: {error}") from error
        found = [sums.parent for sums in model.glob("artifacts/*/sums.json")]
        if len(found) != 1:
            raise Damaged(f"version {version} of {self.name} holds {len(found)} bundles, not one. Train again.")
        return found[0]

    def _check_version(self, client: "MlflowClient", version: str) -> None:
        there = sorted({int(found.version) for found in client.search_model_versions(f"name='{self.name}'")})
        if not there:
            raise NotReady(_NO_MODEL)
        if version not in map(str, there):
            raise BadInput(f"there is no version {version} of {self.name}; expected one of {_listed(there)}.")


def champion_pointer(champion_folder: Path) -> Champion:
    """The champion as last promoted on this machine, read without MLflow.

    Raises `NotReady` when nothing was promoted, `Damaged` when the pointer is broken.
    """
    path = champion_folder / _POINTER
    try:
        document = json.loads(path.read_text("utf-8"))
        version, folder = str(document["version"]), champion_folder / Path(document["folder"]).name
    except FileNotFoundError:
        raise NotReady(_NO_MODEL) from None
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{path} does not name a champion ({error!r}). Delete it and promote a version again.") from error
    if not folder.is_dir():
        raise Damaged(f"{path} names version {version}, whose folder {folder} is gone. Train again, or promote again.")
    return Champion(version, folder)


def champion_folder_of(tracking_uri: str) -> Path:
    """Where the champion's bundle is kept when nothing else was said: beside the SQLite file.

    >>> champion_folder_of("sqlite:////srv/churn/mlflow.db").as_posix()
    '/srv/churn/champion'
    """
    if not tracking_uri.startswith(_SQLITE):
        raise BadInput(f"tracking at {tracking_uri}: say in which folder of this machine the champion is to be kept.")
    return Path(unquote(tracking_uri.removeprefix(_SQLITE))).absolute().parent / "champion"


def sqlite_uri(path: Path) -> str:
    """The tracking address of an SQLite file, which need not exist; its folder is made.

    >>> sqlite_uri(Path("/srv/mlflow.db"))
    'sqlite:////srv/mlflow.db'
    """
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    return f"{_SQLITE}{path.absolute()}"


@contextmanager
def quiet_mlflow(tracking_uri: str) -> "Iterator[MlflowClient]":
    """A client at the address, with MLflow's own functions pointed there too, and MLflow silent but for errors."""
    os.environ.update(_SETTINGS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's dependencies deprecate things that no user of ours can mend
        import mlflow  # noqa: PLC0415 - costs seconds

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        tracked_at, registered_at = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
        asked = {name: os.environ.get(name) for name in _ADDRESSES}  # MLflow writes its addresses there itself
        mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_registry_uri(tracking_uri)
        try:
            yield mlflow.MlflowClient(tracking_uri, tracking_uri)
        finally:
            mlflow.set_tracking_uri(tracked_at)
            # Empty: the registry goes where the tracking goes, later too, unless somebody had sent it elsewhere.
            mlflow.set_registry_uri("" if registered_at == tracked_at else registered_at)
            for name, address in asked.items():
                os.environ.pop(name, None)
                os.environ.update({} if address is None else {name: address})


def _listed(versions: list[int]) -> str:
    """The versions, of many only the newest."""
    shown = ", ".join(map(str, versions[-_LISTED:]))
    return f"{shown} (the newest {_LISTED} of {len(versions)})" if len(versions) > _LISTED else shown


def _signature(names: list[str]) -> "ModelSignature":
    from mlflow.models import ModelSignature  # noqa: PLC0415 - costs seconds
    from mlflow.types import ColSpec, Schema, TensorSpec  # noqa: PLC0415

    inputs: list[ColSpec | TensorSpec] = [ColSpec("double", name, required=True) for name in names]
    return ModelSignature(Schema(inputs), Schema([ColSpec("double", "churn_probability")]))


def _point_to(champion_folder: Path, name: str, *, version: str, bundle: Path) -> Champion:
    """Copies the bundle, moves the pointer, and clears away copies older than the last champion's."""
    champion_folder.mkdir(parents=True, exist_ok=True)
    before = _pointed_folder(champion_folder)
    folder = champion_folder / version
    if folder != before or not folder.exists():
        _copy(bundle, folder)
    _write_whole(champion_folder / _POINTER, {"model": name, "version": version, "folder": folder.name})
    for old in champion_folder.iterdir():
        if old.is_dir() and old not in {folder, before}:
            shutil.rmtree(old, ignore_errors=True)
    return Champion(version, folder)


def _pointed_folder(champion_folder: Path) -> Path | None:
    try:
        return champion_pointer(champion_folder).folder
    except (NotReady, Damaged):
        return None


def _copy(bundle: Path, folder: Path) -> None:
    draft = Path(tempfile.mkdtemp(prefix=".incoming-", dir=folder.parent))
    shutil.copytree(bundle, draft, dirs_exist_ok=True, symlinks=True)
    draft.chmod(0o755)
    if folder.exists():  # left by an attempt that died before the pointer moved
        shutil.rmtree(folder)
    draft.rename(folder)


def _write_whole(path: Path, document: dict[str, Any]) -> None:  # Any: JSON
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
