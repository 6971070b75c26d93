"""What every command gets: the settings in force, the data folder, the clock's reading, progress and output."""

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from features.errors import BadInput
from features.windows import utc
from holdfast import config, output
from holdfast.config import Entry, Resolved
from holdfast.folder import Folder
from holdfast.progress import Progress
from holdfast.settings import Settings

DEFINITION = next(entry for entry in config.entries("churn") if entry.key == "definition")
_TYPE_NAMES = {"int": "whole number", "float": "number", "bool": "word: true or false", "timedelta": "span"}


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a command."""

    resolved: Resolved
    as_json: bool
    now: datetime
    progress: Progress = field(default_factory=Progress)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.resolved.settings

    @property
    def folder(self) -> Folder:
        """The data folder, as the definition that was chosen sees it."""
        return Folder(self.resolved.data_dir, self.settings.churn.definition)

    @property
    def model_name(self) -> str:
        """The name of the registered model: each definition of churn has its own, so that each has a champion."""
        name, definition = self.settings.mlflow.model, self.settings.churn.definition
        return f"{name}-{definition}" if definition else name

    @property
    def store_url(self) -> str:
        """The address of the score store."""
        return self.settings.store.url or self.folder.store_url

    @property
    def tracking_uri(self) -> str:
        """The address of MLflow."""
        return self.settings.mlflow.tracking_uri or self.folder.tracking_uri

    @property
    def artifacts(self) -> str:
        """The address of the folder for MLflow's artifacts; empty leaves the choice to an MLflow server."""
        here = self.tracking_uri.startswith(("sqlite:", "file:", "/"))
        return self.folder.artifacts.as_uri() if here else ""

    def emit(self, document: Mapping[str, object], *, text: str) -> None:
        """The command's result on stdout."""
        output.emit(document, text=text, as_json=self.as_json)


class SettingType(click.ParamType[Any]):
    """The text of an option as the value of a setting."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.name = _TYPE_NAMES.get(entry.kind.__name__, "text")

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:  # Any: click's signature
        """The value, or a usage error that says what was expected."""
        if self.entry.kind is tuple:
            return value
        try:
            return config.parse(self.entry, value)
        except BadInput as error:
            self.fail(str(error), param, ctx)
        except ValueError:
            self.fail(f"{value!r}; expected a {self.name}.", param, ctx)


class CutoffType(click.ParamType[Any]):
    """An instant in ISO 8601."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:  # Any: click's signature
        """The instant, or a usage error."""
        try:
            return value if isinstance(value, datetime) else utc(value)
        except BadInput as error:
            self.fail(str(error), param, ctx)


def cutoff_option(says: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # Any: as click's decorators
    """The option `--cutoff`, with what its default is."""
    return click.option("--cutoff", type=CutoffType(), metavar="TIME", help=f"{says}; ISO 8601, UTC if no offset.")


def takes(*sections: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # Any: as click's decorators
    """Give a command the options of these sections of the settings, and a `Session` as its first argument.

    Whatever looks at a model or at scores can be told whose: `--definition` belongs to the sections of both.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:  # Any: as click's decorators
        known = {entry.parameter: entry for entry in config.entries(*sections)}
        if {"mlflow", "store"} & set(sections):
            known = {DEFINITION.parameter: DEFINITION, **known}

        @functools.wraps(function)
        def run(**parameters: Any) -> Any:  # Any: whatever the command's own options are
            given = {name: parameters.pop(name) for name in known}
            options = {
                (known[name].section, known[name].key): value
                for name, value in given.items()
                if value not in (None, ())
            }
            file = parameters.pop("config")
            resolved = config.resolve(options, environment=os.environ, folder=Path.cwd(), file=file)
            session = Session(resolved, as_json=parameters.pop("json"), now=datetime.now(UTC))
            return function(session, **parameters)

        dressed: Callable[..., Any] = run  # Any: as click's decorators
        for entry in reversed(known.values()):
            dressed = _with_option(dressed, entry)
        return _with_common_options(dressed)

    return decorate


def _with_option(function: Callable[..., Any], entry: Entry) -> Callable[..., Any]:  # Any: as click's decorators
    shown = config.describe_default(entry)
    says = entry.says + (f" [default: {shown.strip(chr(34))}]" if shown else "")
    many = entry.kind is tuple
    return click.option(
        entry.option,
        entry.parameter,
        type=str if many else SettingType(entry),
        multiple=many,
        metavar=entry.metavar,
        help=says + (" (again for more)" if many else ""),
    )(function)


def _with_common_options(function: Callable[..., Any]) -> Callable[..., Any]:  # Any: as click's decorators
    """`--config`, `--json` and `--debug`, which every command has."""
    for option in (
        click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks."),
        click.option("--json", is_flag=True, help="One JSON document on stdout."),
        click.option(
            "--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
            help="Configuration file [default: holdfast.toml].",
        ),
    ):  # fmt: skip
        function = option(function)
    return function
