"""Starting the HTTP service and stopping it gently."""

import logging
import logging.config
import os
import signal
import socket
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from features.errors import Busy
from serving.settings import ServiceSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

_STOPPING = (signal.SIGINT, signal.SIGTERM)
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
        backpressure=settings.max_open_requests,
        http1_settings=HTTP1Settings(
            header_read_timeout=int(settings.header_timeout_seconds * 1000), max_buffer_size=_LONGEST_HEADERS
        ),
        workers_kill_timeout=settings.shutdown_seconds,
        log_dictconfig=_log_settings(),
    )
    os.register_at_fork(before=_hold_signals, after_in_parent=_let_signals_in, after_in_child=_begin_as_worker)
    server.serve(target_loader=partial(_load, settings), wrap_loader=False)


def checked(settings: ServiceSettings) -> ServiceSettings:
    """The settings with a port that is free, after the store was opened once: what is wrong is said before the start.

    Raises `UserError` when the port cannot be had or the store cannot be read.
    """
    from serving.store import ScoreStore  # noqa: PLC0415 (as above)

    settings = replace(settings, port=_free_port(settings.host, settings.port))
    ScoreStore.open(settings.store_url).close()
    return settings


def _load(settings: ServiceSettings) -> "FastAPI":
    """The application, made in the worker's own process."""
    _end_when_told()  # once more, for where a worker is not a fork
    logging.config.dictConfig(_log_settings())
    from serving.app import create_app  # noqa: PLC0415 (the parent process only watches; it needs no application)

    return create_app(settings)


def _begin_as_worker() -> None:
    """A fork has the parent's handlers: it would only note a signal, and be waited for until it is killed."""
    _end_when_told()
    _let_signals_in()


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


def _log_settings() -> dict[str, Any]:  # Any: what logging.config takes
    line = "time=%(asctime)s.%(msecs)03dZ level=%(levelname)s %(message)s"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": "serving.run.UtcFormatter", "fmt": line, "datefmt": "%Y-%m-%dT%H:%M:%S"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "loggers": {
            name: {"handlers": ["stderr"], "level": "INFO", "propagate": False}
            for name in ("_granian", "granian.access", "holdfast")
        },
    }


class UtcFormatter(logging.Formatter):
    """Log lines in UTC, whatever the machine's zone."""

    converter = staticmethod(time.gmtime)
