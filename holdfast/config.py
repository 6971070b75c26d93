"""holdfast.toml, the environment and options, resolved into `Settings`: option > environment > file > default."""

import dataclasses
import difflib
import json
import math
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from features.errors import BadInput
from features.windows import format_span, parse_span
from holdfast.settings import Churn, Settings

FILE_NAME = "holdfast.toml"
CHURN = "churn"  # what the definition of that section is called beside those that have names
DEFINITIONS = "definitions"  # the table whose tables are definitions of churn beside [churn]
CONFIG_VARIABLE = "HOLDFAST_CONFIG"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")  # of a definition: it becomes part of a folder's and a model's name
_DEFINITIONS_SHOWN = (
    "",
    "# Further definitions of churn beside [churn], with the same keys; `holdfast define` compares them, and",
    "# --definition NAME takes one of them. What one does not say is at its default, not as [churn] has it.",
    f"# [{DEFINITIONS}.cancelled]",
    '# kind = "cancel"',
    '# cancel = ["cancel"]',
)
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_EXPECTED = {
    "str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false",
    "tuple": "a list of texts", "timedelta": 'a span such as "60d" or "8w"',
}  # fmt: skip

Value = str | int | float | bool | tuple[str, ...] | timedelta
Given = Mapping[tuple[str, str], Value]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table of settings."""

    section: str
    key: str
    kind: type
    default: Value
    says: str
    option: str
    example: str
    metavar: str

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"HOLDFAST_{self.section}_{self.key}".upper()

    @property
    def parameter(self) -> str:
        """Its name among a command's parameters."""
        return f"{self.section}__{self.key}"


@dataclass(frozen=True, slots=True)
class Resolved:
    """Settings, and the folder that relative paths in them start from."""

    settings: Settings
    data_dir: Path
    source: Path | None  # the configuration file, if there is one
    definitions: Mapping[str, Churn] = field(default_factory=dict)  # as the file has them, [churn] first

    def with_values(self, values: Given) -> "Resolved":
        """The same with these values in the place of what was said before; the data folder stays."""
        settings = self.settings
        for (section, key), value in values.items():
            changed = dataclasses.replace(getattr(settings, section), **{key: value})
            settings = dataclasses.replace(settings, **{section: changed})
        return dataclasses.replace(self, settings=settings)


def entries(*sections: str) -> Iterator[Entry]:
    """The settings of the sections; of all sections when none is named."""
    for section in dataclasses.fields(Settings):
        if sections and section.name not in sections:
            continue
        owner = typing.cast("type[Any]", section.type)  # Any: the section's dataclass, known from Settings' annotations
        for one in dataclasses.fields(owner):
            notes = one.metadata
            yield Entry(
                section=section.name,
                key=one.name,
                kind=_kind(one.type),
                default=typing.cast("Value", one.default),
                says=notes["says"],
                option=notes["option"] or "--" + one.name.replace("_", "-"),
                example=notes["example"],
                metavar=notes["metavar"],
            )


def resolve(options: Given, *, environment: Mapping[str, str], folder: Path, file: Path | None = None) -> Resolved:
    """The settings in force; the file is the one given, else $HOLDFAST_CONFIG, else holdfast.toml in the folder.

    A relative path starts from the folder of the file that says it, in the environment and in options from `folder`.
    With `definition` in [churn] the file's [definitions.NAME] stands in the place of its [churn].
    Raises `BadInput` for an unknown section, key, variable or definition, a value of the wrong type, and a number below
    zero.
    """
    source = _find(file, environment=environment, folder=folder)
    tables = _read(source) if source else {}
    named = _definitions(tables.pop(DEFINITIONS, {}), source) if source else {}
    from_file = given(tables, said_by=str(source), folder=source.parent) if source else {}
    said = {**_from_environment(environment), **options}
    merged = {**_with_definition(from_file, named, said=said, source=source), **said}
    _check_not_negative(merged)
    sections = {
        section.name: typing.cast("type[Any]", section.type)(  # Any: as above
            **{key: value for (owner, key), value in merged.items() if owner == section.name}
        )
        for section in dataclasses.fields(Settings)
    }
    settings = Settings(**sections)
    by_default = source is not None and ("data", "dir") not in merged
    here = source.parent if source and by_default else folder
    data_dir = (here / Path(settings.data.dir).expanduser()).absolute()
    base = {place: value for place, value in from_file.items() if place[0] == "churn"}
    churns = {name: _churn(values) for name, values in {CHURN: base, **named}.items()} if named else {}
    return Resolved(settings=settings, data_dir=data_dir, source=source, definitions=churns)


def given(tables: Mapping[str, object], *, said_by: str, folder: Path) -> dict[tuple[str, str], Value]:
    """Settings as sections of plain values (texts, numbers, lists, spans as texts), each checked.

    Raises `BadInput` for an unknown section or key and a value of the wrong type, naming who said it.
    """
    known = {section: {entry.key: entry for entry in entries(section)} for section in _sections()}
    values: dict[tuple[str, str], Value] = {}
    for section, table in tables.items():
        if section not in known:
            raise BadInput(f"{said_by}: unknown section [{section}].{_nearest(section, known)}")
        if not isinstance(table, Mapping):
            raise BadInput(f"{said_by}: {section} stands outside a section; expected [{section}] with keys below it.")
        for key, value in table.items():
            if key not in known[section]:
                raise BadInput(f"{said_by}: unknown key {key!r} in [{section}].{_nearest(key, known[section])}")
            values[section, key] = _typed(known[section][key], value, said_by=said_by, folder=folder)
    return values


def parse(entry: Entry, text: str) -> Value:
    """The value that a text of the environment or of an option means; lists are separated by commas.

    Raises `ValueError` when it means none.
    """
    stripped = text.strip()
    if entry.kind is bool:
        return _TRUTHS[stripped.lower()] if stripped.lower() in _TRUTHS else _refuse()
    if entry.kind is tuple:
        return tuple(part.strip() for part in stripped.split(",") if part.strip())
    if entry.kind is timedelta:
        return parse_span(stripped)
    if entry.kind is float:
        return float(stripped) if math.isfinite(float(stripped)) else _refuse()
    return int(stripped) if entry.kind is int else text


def template() -> str:
    """The commented holdfast.toml: every setting with its meaning, at its default and commented out."""
    lines = [
        "# Holdfast's settings. Every line is optional; what is commented out stands at its default.",
        "# The same settings as options: `holdfast COMMAND --help`; in the environment: HOLDFAST_<SECTION>_<KEY>.",
    ]
    for section in dataclasses.fields(Settings):
        owner = typing.cast("type[Any]", section.type)  # Any: as above
        lines += ["", f"# {owner.__doc__}", f"[{section.name}]"]
        for entry in entries(section.name):
            shown = _toml(entry.default) if not entry.example else _example(entry)
            lines.append(f"# {entry.says}")
            lines.append(f"{'' if entry.key == 'dir' else '# '}{entry.key} = {shown}")
    return "\n".join([*lines, *_DEFINITIONS_SHOWN]) + "\n"


def describe_default(entry: Entry) -> str:
    """The default as a page shows it; empty when there is none."""
    return "" if entry.default in ("", ()) else _toml(entry.default)


def _kind(annotation: Any) -> type:  # Any: an annotation
    return typing.cast("type", typing.get_origin(annotation) or annotation)


def _refuse() -> typing.NoReturn:
    raise ValueError


def _find(file: Path | None, *, environment: Mapping[str, str], folder: Path) -> Path | None:
    named = file or (Path(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else None)
    if named is None:
        usual = folder / FILE_NAME
        return usual if usual.is_file() else None
    if not named.is_file():
        raise BadInput(f"{named}: there is no such configuration file; `holdfast init` writes one.")
    return named.absolute()


def _read(source: Path) -> dict[str, object]:
    try:
        return tomllib.loads(source.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{source}: not valid TOML: {error}") from None


def _definitions(tables: object, source: Path) -> dict[str, dict[tuple[str, str], Value]]:
    """The keys of each named definition, as if they stood in [churn]; what one does not say is at its default."""
    if not isinstance(tables, Mapping) or not all(isinstance(table, Mapping) for table in tables.values()):
        raise BadInput(
            f"{source}: {DEFINITIONS} holds no names; expected [{DEFINITIONS}.NAME] with the keys of [churn]."
        )
    found = {}
    for name, table in tables.items():
        if not _NAME.fullmatch(name) or name == CHURN:
            raise BadInput(
                f"{source}: [{DEFINITIONS}.{name}] is no name; expected up to 40 small letters, digits, - or _, "
                f"and not {CHURN}."
            )
        if "definition" in table:
            raise BadInput(f"{source}: [{DEFINITIONS}.{name}] names a definition itself; expected what it means.")
        found[name] = given({"churn": table}, said_by=f"{source}: [{DEFINITIONS}.{name}]", folder=source.parent)
        _check_not_negative(found[name])
    return found


def _churn(values: Given) -> Churn:
    owner: type[Any] = Churn  # Any: the values' types were checked one by one
    return typing.cast("Churn", owner(**{key: value for (_, key), value in values.items()}))


def _with_definition(
    from_file: dict[tuple[str, str], Value],
    named: Mapping[str, dict[tuple[str, str], Value]],
    *,
    said: Given,
    source: Path | None,
) -> dict[tuple[str, str], Value]:
    """What the file says, with the definition that was chosen in the place of [churn]."""
    key = ("churn", "definition")
    name = str(said.get(key, from_file.get(key, "")))
    if not name:
        return from_file
    if name not in named:
        where = source or f"no {FILE_NAME}"
        known = _nearest(name, named) if named else f" There is no [{DEFINITIONS}.{name}]."
        raise BadInput(f"there is no definition {name!r} ({where}).{known}")
    others = {place: value for place, value in from_file.items() if place[0] != "churn"}
    return {**others, **named[name], key: name}


def _typed(entry: Entry, value: object, *, said_by: str, folder: Path) -> Value:
    """A plain value, as TOML has them, as the setting's type; a path starts from the folder."""
    if entry.kind is tuple and isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if entry.kind is timedelta and isinstance(value, str):
        return parse_span(value)
    if entry.kind is float and type(value) in {int, float} and math.isfinite(typing.cast("float", value)):
        return float(typing.cast("float", value))
    if isinstance(value, str) and value and entry.metavar in {"FILE", "FOLDER"}:
        return str(folder / Path(value).expanduser())
    if type(value) is entry.kind and entry.kind is not float:
        return typing.cast("Value", value)
    expected = _EXPECTED[entry.kind.__name__]
    raise BadInput(f"{said_by}: {entry.key} in [{entry.section}] is {_json(value)}; expected {expected}.")


def _from_environment(environment: Mapping[str, str]) -> dict[tuple[str, str], Value]:
    known = {entry.variable: entry for entry in entries()}
    prefixes = tuple(f"HOLDFAST_{section.upper()}_" for section in _sections())
    values: dict[tuple[str, str], Value] = {}
    for name, text in environment.items():
        if not name.startswith(prefixes):
            continue
        if name not in known:
            raise BadInput(f"environment: unknown setting {name}.{_nearest(name, known)}")
        values[known[name].section, known[name].key] = _from_variable(known[name], text)
    uri = environment.get("MLFLOW_TRACKING_URI")
    if uri and not environment.get("HOLDFAST_MLFLOW_TRACKING_URI"):
        values["mlflow", "tracking_uri"] = uri
    return values


def _from_variable(entry: Entry, text: str) -> Value:
    try:
        return parse(entry, text)
    except ValueError:
        expected = _EXPECTED[entry.kind.__name__]
        raise BadInput(f"environment: {entry.variable} is {text!r}; expected {expected}.") from None


def _check_not_negative(values: Given) -> None:
    """No number among the settings can be below zero; where more is to be said, the user of the setting says it."""
    for (section, key), value in values.items():
        if isinstance(value, int | float) and value < 0:
            raise BadInput(f"[{section}] {key} is {value}; expected 0 or more.")


def _sections() -> list[str]:
    return [section.name for section in dataclasses.fields(Settings)]


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(known)}."


def _toml(value: Value) -> str:
    if isinstance(value, timedelta):
        return f'"{format_span(value)}"'
    if isinstance(value, tuple):
        return json.dumps(list(value), ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def _example(entry: Entry) -> str:
    return entry.example if entry.kind is tuple else json.dumps(entry.example, ensure_ascii=False)


def _json(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
