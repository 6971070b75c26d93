"""Populations of every kind as plain JSON, and back: what a Spark task is told, and what a folder of features says."""

from dataclasses import MISSING, fields, is_dataclass
from datetime import timedelta
from typing import Any

from features.errors import BadInput
from features.paid import Paid, Renewals
from features.population import Population
from features.subscribed import Subscribed
from features.windows import span_microseconds

KINDS: dict[str, type[Population]] = {"active": Population, "subscribed": Subscribed, "paid": Paid}
_LATER = frozenset({"least_value"})  # came after folders had been written: left out at its default, they stay theirs
_SPANS = frozenset({"look_back", "grace"})


def to_json(population: Population) -> dict[str, Any]:  # Any: JSON
    """Plain JSON that `from_json` reads back; raises `BadInput` for a kind of the caller's own."""
    for kind, known in KINDS.items():
        if type(population) is known:
            return {"kind": kind, **plain(population)}
    raise BadInput(f"{type(population).__name__} is no known kind of population; expected one of {', '.join(KINDS)}.")


def from_json(document: dict[str, Any]) -> Population:  # Any: JSON
    """The population that `to_json` wrote."""
    found = {name: _value(name, value) for name, value in document.items() if name != "kind"}
    return KINDS[document["kind"]](**found)


def plain(thing: Any) -> dict[str, Any]:  # Any: a frozen dataclass, JSON
    """All that makes up a population, whatever that is; spans in microseconds."""
    told = {field.name: getattr(thing, field.name) for field in fields(thing) if not _is_left_out(field, thing)}
    return {name: _plain(value) for name, value in told.items()}


def _is_left_out(field: Any, thing: Any) -> bool:  # Any: as above
    return field.name in _LATER and field.default is not MISSING and getattr(thing, field.name) == field.default


def _plain(value: Any) -> Any:  # Any: JSON
    if isinstance(value, timedelta):
        return span_microseconds(value)
    if is_dataclass(value):
        return plain(value)
    return list(value) if isinstance(value, tuple) else value


def _value(name: str, value: Any) -> Any:  # Any: JSON
    if name in _SPANS:
        return timedelta(microseconds=value)
    if name == "renewals":
        return Renewals(**{inner: _value(inner, said) for inner, said in value.items()})
    return tuple(value) if isinstance(value, list) else value
