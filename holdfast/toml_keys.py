"""Keys of one section of holdfast.toml set in its text; comments and everything else stay as they are."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from features.errors import BadInput

Value = str | int | float | list[str]


def with_keys(text: str, section: str, values: Mapping[str, Value]) -> str:
    r"""The text with these keys in the section: changed where they stand, else behind the line that comments them out.

    A table within another is a section with a dot, as `definitions.month`. Raises `BadInput` when the text is no TOML,
    or is written so that nobody can say where the keys belong.

    >>> print(with_keys('[churn]\n# horizon = "30d"\n', "churn", {"horizon": "60d"}))
    [churn]
    # horizon = "30d"
    horizon = "60d"
    <BLANKLINE>
    """
    wanted = _expected(text, section, values)
    there = _at(_parsed(text), section)
    changed = _changed(text, section, {key: value for key, value in values.items() if key in there})
    for key in [key for key in reversed(list(values)) if key not in there]:
        changed = _added(changed, section, f"{key} = {json.dumps(values[key], ensure_ascii=False)}", key=key)
    if not _says(changed, wanted):
        lines = ", ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
        raise BadInput(f"[{section}] is written in a way that cannot be changed here; write by hand: {lines}.")
    return changed


def _says(text: str, wanted: Mapping[str, object]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False


def _expected(text: str, section: str, values: Mapping[str, Value]) -> dict[str, object]:
    before = _parsed(text)
    outer, _, inner = section.partition(".")
    if not inner:
        return {**before, section: {**before.get(section, {}), **values}}
    return {**before, outer: {**before.get(outer, {}), inner: {**_at(before, section), **values}}}


def _at(document: Mapping[str, Any], section: str) -> Any:  # Any: TOML
    for name in section.split("."):
        document = document.get(name, {})
    return document


def _parsed(text: str) -> dict[str, Any]:  # Any: TOML
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"not valid TOML: {error}") from None


def _changed(text: str, section: str, values: Mapping[str, Value]) -> str:
    """Keys that are there, by tomlkit, which keeps what stands around them."""
    if not values:
        return text
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:  # stricter here and there than the standard library
        raise BadInput(f"not valid TOML: {error}") from None
    table: Any = document  # Any: tomlkit's containers
    for name in section.split("."):
        table = table[name]
    for key, value in values.items():
        table[key] = value
    return tomlkit.dumps(document)


def _added(text: str, section: str, line: str, *, key: str) -> str:
    """A key that is not there: behind its commented line, else at the section's head, else with a new section."""
    lines = text.splitlines(keepends=True)
    heads = [
        place for place, each in enumerate(lines) if re.match(rf"\s*\[\s*{re.escape(section)}\s*\]\s*(#.*)?$", each)
    ]
    if not heads:
        gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
        return f"{text}{gap}[{section}]\n{line}\n"
    rest = range(heads[0] + 1, len(lines))
    end = next((place for place in rest if re.match(r"\s*\[", lines[place])), len(lines))
    commented = [place for place in range(heads[0], end) if re.match(rf"\s*#\s*{key}\s*=", lines[place])]
    place = (commented or heads)[-1]
    if not lines[place].endswith("\n"):
        lines[place] += "\n"
    return "".join([*lines[: place + 1], f"{line}\n", *lines[place + 1 :]])
