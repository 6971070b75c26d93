"""What is wrong and what to do: each check looks at one thing and says what it found."""

import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from features.errors import NotReady, UserError
from features.windows import iso
from holdfast import shadows
from holdfast.scores import open_store
from holdfast.session import Session

OK, WARNING, ERROR = "ok", "warning", "error"
_LITTLE_DISK = 5 * 1024**3
_NO_DISK = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `advice` is empty when there is nothing to do."""

    check: str
    state: str
    message: str
    advice: str = ""


def examine(session: Session) -> Iterator[Finding]:
    """All findings, in the order in which one would mend them."""
    checks: list[tuple[str, Callable[[Session], Iterator[Finding]]]] = [
        ("python", _python),
        ("packages", _packages),
        ("shadows", _shadows),
        ("data folder", _data_folder),
        ("event log", _event_log),
        ("model", _model),
        ("scores", _scores),
        ("port", _port),
    ]
    for name, check in checks:
        try:
            yield from check(session)
        except NotReady as error:
            yield Finding(name, WARNING, str(error))
        except UserError as error:
            yield Finding(name, ERROR, str(error))
        except Exception as error:  # noqa: BLE001 a doctor examines on, whatever is broken
            yield Finding(
                name,
                ERROR,
                f"{type(error).__name__}: {str(error).partition(chr(10))[0]}",
                "`holdfast --debug` with the command that needs it.",
            )


def _python(_: Session) -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    state = OK if sys.version_info >= (3, 11) else ERROR
    yield Finding("python", state, f"Python {found}", "" if state == OK else "Holdfast needs 3.11 or newer.")


def _packages(_: Session) -> Iterator[Finding]:
    from packaging.requirements import Requirement  # noqa: PLC0415 off the command line's start

    wrong = []
    needed = [Requirement(line) for line in requires("holdfast") or []]
    needed = [need for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})]
    for need in needed:
        try:
            found = version(need.name)
        except PackageNotFoundError:
            wrong.append(f"{need.name} is missing (expected {need.specifier})")
            continue
        if not need.specifier.contains(found, prereleases=True):
            wrong.append(f"{need.name} {found} (expected {need.specifier})")
    if wrong:
        yield Finding("packages", ERROR, "; ".join(wrong), "`make setup` installs what requirements.lock names.")
        return
    shown = ", ".join(f"{name} {version(name)}" for name in ("lightgbm", "mlflow", "deltalake", "pyarrow", "numba"))
    yield Finding("packages", OK, f"all {len(needed)} as pyproject.toml expects; {shown}")


def _shadows(_: Session) -> Iterator[Finding]:
    hidden = [*shadows.hidden(), *shadows.installed_beside()]
    near = shadows.folders_in(Path.cwd())
    if hidden or near:
        yield Finding("shadows", ERROR if hidden else WARNING, " ".join([*hidden, *near]), shadows.ADVICE)
    else:
        yield Finding("shadows", OK, "nothing stands in front of Holdfast's packages")


def _data_folder(session: Session) -> Iterator[Finding]:
    root = session.folder.root
    place = next(folder for folder in [root, *root.parents] if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        advice = "Choose another with --data-dir, or mend its owner and rights."
        yield Finding("data folder", ERROR, f"{place} cannot be written: {error.strerror}", advice)
        return
    free = shutil.disk_usage(place).free
    state = ERROR if free < _NO_DISK else WARNING if free < _LITTLE_DISK else OK
    advice = "" if state == OK else "Free some space, or choose another folder with --data-dir."
    made = "" if root.exists() else " (not made yet)"
    yield Finding("data folder", state, f"{root}{made}, {free / 1024**3:.1f} GB free", advice)


def _event_log(session: Session) -> Iterator[Finding]:
    from features.log import EventLog  # noqa: PLC0415 deltalake, only for who needs it

    log = EventLog.open(session.folder.events)
    summary = log.summary()
    if not summary.events:
        yield Finding("event log", WARNING, f"version {log.version}, empty", "`holdfast ingest FILE…` fills it.")
        return
    yield Finding(
        "event log",
        OK,
        f"version {log.version}: {summary.events:,} events of {summary.users:,} users, "
        f"{iso(summary.start)[:10]} to {iso(summary.end)[:10]}",
    )


def _model(session: Session) -> Iterator[Finding]:
    from models import bundle  # noqa: PLC0415 LightGBM, only for who needs it
    from models.registry import Registry  # noqa: PLC0415 MLflow, only for who needs it

    if session.tracking_uri == session.folder.tracking_uri and not (session.folder.root / "mlflow.db").exists():
        raise NotReady("no model yet: run `holdfast train` first.")  # asking MLflow would make its database
    champion = Registry(session.tracking_uri, session.model_name, session.folder.champion).champion()
    loaded = bundle.load(champion.folder)
    yield Finding("model", OK, f"champion is version {champion.version}; it loads and reproduces its golden rows")
    yield Finding("definition", OK, loaded.definition.says())


def _scores(session: Session) -> Iterator[Finding]:
    if session.store_url.startswith("sqlite:///") and not Path(session.store_url.removeprefix("sqlite:///")).exists():
        raise NotReady("there is no score store yet; `holdfast score` makes it.")
    with open_store(session) as store:
        run = store.current_run()
        keys = [key for key in store.list_keys() if key.works(session.now)]
    if run is None:
        yield Finding("scores", WARNING, "no run of scores yet", "`holdfast score` makes one.")
    else:
        stale = session.now > run.facts.valid_until
        until = iso(run.facts.valid_until)
        message = f"run {run.run_id}: {run.users:,} users as of {iso(run.facts.cutoff)}, valid until {until}"
        advice = "`holdfast ingest` newer events, then `holdfast score`." if stale else ""
        yield Finding("scores", WARNING if stale else OK, message + (" (over)" if stale else ""), advice)
    advice = "" if keys else "`holdfast keys create --name crm --scope scores:read` makes one."
    yield Finding("keys", OK if keys else WARNING, f"{len(keys)} keys work", advice)


def _port(session: Session) -> Iterator[Finding]:
    host, port = session.settings.serve.host, session.settings.serve.port
    with socket.socket() as knock:
        knock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            knock.bind((host, port))
        except OSError as error:
            advice = "Another server runs there; stop it, or choose another with --port."
            yield Finding("port", WARNING, f"{host}:{port}: {error.strerror}", advice)
            return
    yield Finding("port", OK, f"{host}:{port} is free")
