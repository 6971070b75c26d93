"""Everything that can go wrong, turned into one line on stderr and an exit code, in this one place."""

import errno
import json
import os
import sys
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
_SHOWN_CHARACTERS = 2000


def run(arguments: Sequence[str]) -> int:
    """The exit code of the command that the arguments name, after saying what went wrong if something did."""
    try:
        code = cli.main(list(arguments), prog_name="holdfast", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _hush()
    except (KeyboardInterrupt, click.Abort):
        return _say(arguments, "interrupted", "interrupted; nothing was lost, run the same command again", INTERRUPTED)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:  # noqa: BLE001 the last place that can turn it into words
        return _report(arguments, error)
    return code if isinstance(code, int) else 0


def _report(arguments: Sequence[str], error: Exception) -> int:
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
    return any(
        (isinstance(link, OSError) and link.errno in {errno.ENOSPC, errno.EDQUOT})
        or any(words in str(link).lower() for words in _FULL_DISK_WORDS)
        for link in _chain(error)
    )


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
