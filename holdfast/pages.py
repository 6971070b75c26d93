"""Writes the pages of the documentation that come from code: `python -m holdfast.pages docs`."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from holdfast import config
from holdfast.cli import cli
from serving.problem_kinds import KINDS

_SETTINGS = """\
# Settings

<!-- Written by `make docs` from holdfast/settings.py; a test compares them. -->

`holdfast init` writes these as a commented `holdfast.toml`. Each can be given as an option of the commands that use
it, in the environment, or in the file; the first of these wins, and the default comes last. A relative path in the
file starts from the file's folder. The file is `holdfast.toml` in the current folder, or what `--config` or
`HOLDFAST_CONFIG` names. Lists are separated by commas in the environment; options are repeated.
An unknown section, key or variable is an error that names the nearest known one.
"""
_ERRORS = """\
# Errors of the API

<!-- Written by `make docs` from serving/problem_kinds.py; a test compares them. -->

Every error is a problem as in RFC 9457: `application/problem+json` with `type`, `title`, `status`, `detail`, and
`code` and `message` besides. Branch on `code`: it never changes its meaning, and a new one comes with a line in the
changelog. Show `message` to people; its words may change. `type` is `urn:holdfast:problem:` and the code. Which codes
an address answers with is in `/openapi.json`, with an example of each; a test holds that there are no others.

"Again" says whether the same request may be sent again as it is. Where there is a header `Retry-After`, wait so many
seconds first. A request that changes something carries an `Idempotency-Key`, and may then always be sent again.

| code | status | is | what to do | again |
|---|---|---|---|---|
"""
_COMMANDS = """\
# Commands

<!-- Written by `make docs` from the commands' own help; a test compares them. -->
"""


def errors_page() -> str:
    """docs/errors.md."""
    rows = (
        f"| `{code}` | {kind.status} | {kind.title} | {kind.do} | {kind.again} |\n"
        for code, kind in sorted(KINDS.items(), key=lambda item: (item[1].status, item[0]))
    )
    return _ERRORS + "".join(rows)


def settings_page() -> str:
    """docs/settings.md."""
    parts = [_SETTINGS]
    section = ""
    for entry in config.entries():
        if entry.section != section:
            section = entry.section
            parts.append(
                f"\n## [{section}]\n\n| key | default | meaning | option | environment |\n|---|---|---|---|---|\n"
            )
        default = f"`{config.describe_default(entry)}`" if config.describe_default(entry) else "(none)"
        example = f", for example `{entry.example}`" if entry.example else ""
        parts.append(f"| `{entry.key}` | {default} | {entry.says}{example} | `{entry.option}` | `{entry.variable}` |\n")
    return "".join(parts)


def commands_page() -> str:
    """docs/commands.md."""
    return _COMMANDS + "".join(
        f"\n## {name}\n\n```text\n{text.rstrip()}\n```\n" for name, text in _helps("holdfast", cli, parent=None)
    )


def openapi_document() -> str:
    """docs/openapi.json: what the service says of itself at /openapi.json."""
    from serving.app import create_app  # noqa: PLC0415 the server, only here
    from serving.settings import ServiceSettings  # noqa: PLC0415 as above

    with tempfile.TemporaryDirectory() as folder:
        app = create_app(ServiceSettings(store_url=f"sqlite:///{folder}/store.db"))
        document = app.openapi()
        app.state.store.close()
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _helps(name: str, command: click.Command, *, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    called = name.rsplit(" ", 1)[-1]
    with command.make_context(called, [], parent=parent, resilient_parsing=True, terminal_width=100) as ctx:
        yield name, command.get_help(ctx)
        if isinstance(command, click.Group):
            for child in command.list_commands(ctx):
                found = command.get_command(ctx, child)
                if found is not None:
                    yield from _helps(f"{name} {child}", found, parent=ctx)


def main() -> None:
    """Write the pages into the folder that the command line names."""
    folder = Path(sys.argv[1])
    (folder / "settings.md").write_text(settings_page(), "utf-8")
    (folder / "commands.md").write_text(commands_page(), "utf-8")
    (folder / "errors.md").write_text(errors_page(), "utf-8")
    (folder / "openapi.json").write_text(openapi_document(), "utf-8")


if __name__ == "__main__":
    main()
