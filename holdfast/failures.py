"""Everything that can go wrong, turned into one line on stderr and an exit code, in this one place."""

import _thread
import errno
import json
import os
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence

import click

from features.errors import BadInput, Busy, Damaged, NotReady, UserError
from holdfast.cli import cli

BAD_NEWS = 1
FAULT = 70
INPUT_OUTPUT = 74
INTERRUPTED = 130
BROKEN_PIPE = 141

_CODES: dict[type[UserError], tuple[int, str]] = {
    BadInput: (3, "bad_input"),
    NotReady: (4, "not_ready"),
    Busy: (5, "busy"),
    Damaged: (6, "damaged"),
    UserError: (INPUT_OUTPUT, "input_output"),  # any other, for example a port that is taken
}
_FULL_DISK_WORDS = ("no space left on device", "disk is full", "os error 28", "disk quota exceeded")
_DAMAGED_DATABASE_WORDS = ("file is not a database", "database disk image is malformed")
_INTERRUPTED_WORDS = "interrupted; nothing was lost, run the same command again"
_AGAIN_AFTER_SECONDS = 0.05
_SHOWN_CHARACTERS = 2000


def run(arguments: Sequence[str]) -> int:
    """The exit code of the command that the arguments name, after saying what went wrong if something did."""
    sys.unraisablehook = _raise_again
    try:
        code = cli.main(list(arguments), prog_name="holdfast", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _hush()
    except (KeyboardInterrupt, click.Abort):
        return _say(arguments, "interrupted", _INTERRUPTED_WORDS, INTERRUPTED)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:  # noqa: BLE001 the last place that can turn it into words
        return _report(arguments, error)
    return code if isinstance(code, int) else 0


def _raise_again(lost: "sys.UnraisableHookArgs") -> None:
    """Deliver a Ctrl-C once more that fell into a callback from C, where Python can only print and forget it."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    again = threading.Timer(_AGAIN_AFTER_SECONDS, _thread.interrupt_main)
    again.daemon = True
    again.start()


def _report(arguments: Sequence[str], error: Exception) -> int:
    if any(isinstance(link, KeyboardInterrupt) for link in _chain(error)):  # a library's import wrapped it
        return _say(arguments, "interrupted", _INTERRUPTED_WORDS, INTERRUPTED)
    if "--debug" in arguments:
        traceback.print_exc()
    code, name, message = _words(error)
    return _say(arguments, name, f"error: {message}", code)


def _words(error: Exception) -> tuple[int, str, str]:
    """Exit code, machine-readable code and message."""
    if isinstance(error, UserError):
        code, name = next(known for kind, known in _CODES.items() if isinstance(error, kind))
        return code, name, str(error)
    if _disk_is_full(error):
        return (
            INPUT_OUTPUT,
            "disk_full",
            f"the disk is full{_where(error)}; free some space and run the same command again.",
        )
    if _says(error, _DAMAGED_DATABASE_WORDS):
        return (
            *_CODES[Damaged],
            "store.db or mlflow.db in the data folder is damaged (`holdfast doctor` looks at both); "
            "restore it from a backup.",
        )
    if isinstance(error, OSError):
        return INPUT_OUTPUT, "input_output", f"{error.strerror or error}{_where(error)}"
    first = (str(error).strip().splitlines() or [""])[0][:_SHOWN_CHARACTERS]
    return (
        FAULT,
        "fault",
        f"unexpected {type(error).__name__}: {first}\nThis is a fault of Holdfast; `holdfast --debug …` shows where.",
    )


def _where(error: BaseException) -> str:
    for link in _chain(error):
        if isinstance(link, OSError) and link.filename is not None:
            return f": {os.fsdecode(link.filename) if not isinstance(link.filename, int) else link.filename}"
    return ""


def _disk_is_full(error: BaseException) -> bool:
    """Libraries wrap the operating system's error in their own, so the words are looked for too."""
    full = any(isinstance(link, OSError) and link.errno in {errno.ENOSPC, errno.EDQUOT} for link in _chain(error))
    return full or _says(error, _FULL_DISK_WORDS)


def _says(error: BaseException, signs: tuple[str, ...]) -> bool:
    return any(words in str(link).lower() for link in _chain(error) for words in signs)


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _say(arguments: Sequence[str], name: str, message: str, code: int) -> int:
    click.echo(message, err=True)
    if "--json" in arguments:
        document = {"error": {"code": name, "message": message.removeprefix("error: ")}}
        try:
            click.echo(json.dumps(document, ensure_ascii=False))
        except OSError:
            return _hush()
    return code


def _hush() -> int:
    """Nobody reads any more (`| head`): be quiet, at the interpreter's exit too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    return BROKEN_PIPE
