"""What goes wrong becomes one line and an exit code."""

import ctypes
import errno
import json
import signal
import sqlite3
import sys
import time
from collections.abc import Callable

import click
import pytest

from features.errors import BadInput, Busy, Damaged, NotReady, UserError
from holdfast import failures


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], list[str]]:
    """Replace the command line by one whose only command raises this."""

    def make(error: BaseException) -> list[str]:
        @click.command(context_settings={"ignore_unknown_options": True})
        @click.argument("rest", nargs=-1, expose_value=False)
        def broken() -> None:
            raise error

        monkeypatch.setattr(failures, "cli", broken)
        return []

    return make


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (BadInput("no such column"), 3, "error: no such column"),
        (NotReady("no model yet"), 4, "error: no model yet"),
        (Busy("another training"), 5, "error: another training"),
        (Damaged("wrong sum"), 6, "error: wrong sum"),
        (UserError("port taken"), 74, "error: port taken"),
        (OSError(errno.ENOSPC, "No space left on device", "scores.csv"), 74, "error: the disk is full: scores.csv;"),
        (RuntimeError("Io error: No space left on device (os error 28)"), 74, "error: the disk is full;"),
        (PermissionError(errno.EACCES, "Permission denied", "list.csv"), 74, "error: Permission denied: list.csv"),
        (ZeroDivisionError("division by zero"), 70, "error: unexpected ZeroDivisionError: division by zero"),
        (
            sqlite3.DatabaseError("database disk image is malformed"),
            6,
            "error: store.db or mlflow.db in the data folder is damaged",
        ),
        (KeyboardInterrupt(), 130, "interrupted; nothing was lost, run the same command again"),
    ],
)
def test_each_failure_has_its_code_and_its_line(
    error: BaseException,
    code: int,
    word: str,
    failing: Callable[[BaseException], list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert failures.run(failing(error)) == code
    said = capsys.readouterr()
    assert said.err.lstrip().startswith(word)  # click begins a new line after ^C
    assert said.out == ""
    assert "Traceback" not in said.err


def test_a_machine_gets_the_failure_as_a_document(
    failing: Callable[[BaseException], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert failures.run([*failing(Busy("another training is running")), "--json"]) == 5
    assert json.loads(capsys.readouterr().out) == {"error": {"code": "busy", "message": "another training is running"}}


def test_an_interrupt_that_falls_into_a_callback_from_c_still_interrupts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Loading a compiled kernel calls back from C; a Ctrl-C there was printed and forgotten."""

    @ctypes.CFUNCTYPE(None)
    def callback() -> None:
        signal.raise_signal(signal.SIGINT)
        time.sleep(0)

    @click.command()
    def loads_a_kernel() -> None:
        callback()
        time.sleep(5)

    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)  # put back afterwards
    monkeypatch.setattr(failures, "cli", loads_a_kernel)
    assert failures.run([]) == 130
    assert "Traceback" not in capsys.readouterr().err
