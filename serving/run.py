"""Starting the HTTP service and stopping it gently."""

import ctypes
import gc
import logging.config
import multiprocessing
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from features.errors import Busy
from serving.logs import log_settings
from serving.settings import ServiceSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus_client looks, once, when it is imported
_TELL_WHEN_THE_PARENT_DIES = 1  # of prctl(2)
_STOPPING = (signal.SIGINT, signal.SIGTERM)
_OTHER_FILES = 256  # than connections that a worker may have open
_LONGEST_HEADERS = 64 * 1024  # bytes of request line and headers; an id of 1,024 characters needs at most 12 KB


def serve(settings: ServiceSettings) -> None:
    """Serve until interrupted (SIGINT or SIGTERM); requests under way are finished first.

    Raises `UserError` when the port is taken or may not be used.
    """
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415 (only who serves pays for the server)
    from granian.http import HTTP1Settings  # noqa: PLC0415
    from granian.server import Server  # noqa: PLC0415

    settings = replace(settings, port=_free_port(settings.host, settings.port))
    server = Server(
        "serving.app:create_app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,  # the only one for which slow headers are cut off; a proxy speaks HTTP/2 to the outside
        websockets=False,
        workers=settings.workers,
        backpressure=_connections(settings.max_open_requests),
        http1_settings=HTTP1Settings(
            header_read_timeout=int(settings.header_timeout_seconds * 1000), max_buffer_size=_LONGEST_HEADERS
        ),
        workers_kill_timeout=settings.shutdown_seconds,
        respawn_failed_workers=True,  # else one that dies takes the others with it; one that dies at once still does
        log_dictconfig=log_settings(settings.log_format),
    )
    stopping = multiprocessing.RawValue(ctypes.c_bool, False)  # in memory that parent and workers share
    server.signal_handler_interrupt = _stopper(server, stopping, drain_seconds=settings.drain_seconds)  # type: ignore[method-assign]  # what it asks to be called
    os.register_at_fork(before=_hold_signals, after_in_parent=_let_signals_in, after_in_child=_begin_as_worker)
    with _one_count(settings.workers):
        server.serve(target_loader=partial(_load, settings, stopping), wrap_loader=False)


def _connections(wanted: int) -> int:
    """How many connections a process may have open, at most so many; the system is asked for as many as it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted + _OTHER_FILES if hard == resource.RLIM_INFINITY else min(wanted + _OTHER_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(1, allowed - _OTHER_FILES)


def checked(settings: ServiceSettings) -> ServiceSettings:
    """The settings with a port that is free, after the store was opened once: what is wrong is said before the start.

    Raises `UserError` when the port cannot be had or the store cannot be read.
    """
    from serving.store import ScoreStore  # noqa: PLC0415 (as above)

    settings = replace(settings, port=_free_port(settings.host, settings.port))
    ScoreStore.open(settings.store_url).close()
    return settings


def _stopper(server: Any, stopping: Any, *, drain_seconds: float) -> Callable[..., None]:  # Any: granian, ctypes
    """What the parent does when it is told to stop: say so first where there is time, and close the door then."""

    def stop() -> None:
        server.interrupt_signal = True
        server.main_loop_interrupt.set()

    def told(number: int, _frame: object) -> None:
        if number == signal.SIGINT or stopping.value or not drain_seconds:
            stop()  # Ctrl-C reaches the workers too, and who says it twice means now
            return
        stopping.value = True
        timer = threading.Timer(drain_seconds, stop)
        timer.daemon = True  # does not keep alive what was stopped by a second signal
        timer.start()

    return told


@contextmanager
def _one_count(workers: int) -> Iterator[None]:
    """Several workers count into one folder, so that each can tell of all."""
    if workers == 1 or FOLDER_VARIABLE in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="holdfast-metrics-") as folder:
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER_VARIABLE]


def _load(settings: ServiceSettings, stopping: Any) -> "FastAPI":  # Any: of ctypes
    """The application, made in the worker's own process."""
    _end_when_told()  # once more, for where a worker is not a fork
    gc.disable()  # until all is loaded, see `serving.champions`: to search it meanwhile takes a tenth of the start
    logging.config.dictConfig(log_settings(settings.log_format))
    from serving.app import create_app  # noqa: PLC0415 (the parent process only watches; it needs no application)
    from serving.traces import provider_of  # noqa: PLC0415 (as above)

    return create_app(settings, stopping=lambda: stopping.value, traces=provider_of(os.environ))


def _begin_as_worker() -> None:
    """A fork has the parent's handlers: it would only note a signal, and be waited for until it is killed."""
    _end_when_told()
    _end_with_the_parent()
    _let_signals_in()


def _end_with_the_parent() -> None:
    """Be killed when the parent is: an orphan would go on answering, beside the next service.

    Told to stop instead, one was seen to wait for ever in the server's own code, and nobody was there to kill it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_TELL_WHEN_THE_PARENT_DIES, signal.SIGKILL)


def _end_when_told() -> None:
    """How a worker takes signals until it listens and has handlers of its own."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # from the parent, when the service is to stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer


def _hold_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)


def _let_signals_in() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)


def _free_port(host: str, port: int) -> int:
    """The port, known to be free; the server itself would silently share it with another one."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise Busy(
            f"cannot listen on {host} port {port}: {error.strerror or error}. "
            "Stop what uses it, or choose another with --port (0 takes any free one)."
        ) from None
