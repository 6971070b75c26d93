"""Lines of the log: key=value for people and grep, or a JSON object a line for machines; times in UTC."""

import asyncio
import logging
import re
import sys
import time
from contextlib import suppress
from typing import Any, Literal

import orjson

LogFormat = Literal["logfmt", "json"]
LOG_FORMATS: tuple[LogFormat, ...] = ("logfmt", "json")
_FIELD = re.compile(r"""(\w+)=('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\S+)""")


def log_settings(log_format: LogFormat) -> dict[str, Any]:  # Any: what logging.config takes
    """Everything goes to stderr in one shape, the server's own lines too."""
    form = {"()": "serving.logs.JsonFormatter"} if log_format == "json" else {"()": "serving.logs.PlainFormatter"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": form},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "loggers": {
            name: {"handlers": ["stderr"], "level": "INFO", "propagate": False}
            for name in ("_granian", "granian.access", "holdfast")
        },
    }


class PlainFormatter(logging.Formatter):
    """`time=… level=… event=…` in UTC, whatever the machine's zone."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        line = "time=%(asctime)s.%(msecs)03dZ level=%(levelname)s %(message)s"
        super().__init__(line, "%Y-%m-%dT%H:%M:%S")


class JsonFormatter(logging.Formatter):
    """One JSON object a line; `event=… key=value` becomes fields of it, everything else `message`."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z"
        text = record.getMessage()
        fields: dict[str, object] = {"time": moment, "level": record.levelname}
        fields |= fields_of(text) if text.startswith("event=") else {"event": "log", "message": text}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(fields).decode()


class LinesOfATurn:
    """Writes to stderr at once what is told during one turn of the event loop: each write costs as much as a score."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """Write a line with its line break, when this turn is over."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        self._lines.append(line)

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        with suppress(OSError):  # a full disk under the log costs the lines only
            sys.stderr.write("".join(lines))


def fields_of(text: str) -> dict[str, str]:
    """The pairs of a logfmt text; quotes around a value are taken off.

    >>> fields_of("event=store_unavailable reason='its disk is full'")
    {'event': 'store_unavailable', 'reason': 'its disk is full'}
    """
    return {name: value[1:-1] if value[:1] in "'\"" else value for name, value in _FIELD.findall(text)}
