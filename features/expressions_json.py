"""Expressions as JSON and back: nested lists, the first entry naming what each is."""

from typing import Any

from features.errors import BadInput
from features.expressions import (
    Additive,
    Age,
    Arithmetic,
    Breadth,
    Chosen,
    Clock,
    Constant,
    End,
    Expression,
    Hours,
    Latest,
    OfCutoff,
    OfDays,
    Relative,
    Season,
    Variety,
    Window,
)


def to_json(expression: Expression) -> list[Any]:  # Any: JSON
    """An expression as nested JSON lists."""
    match expression:
        case Arithmetic(operator, left, right):
            return ["arithmetic", operator, to_json(left), to_json(right)]
        case Relative(of):
            return ["fifth", to_json(of)]
        case Constant(number):
            return ["constant", number]
        case OfCutoff(season):
            return ["season", season.value]
    return _tally_to_json(expression)


def from_json(document: list[Any]) -> Expression:  # Any: JSON
    """The expression that `to_json` wrote; raises `BadInput` for anything else."""
    match document:
        case ["arithmetic", operator, left, right]:
            return Arithmetic(operator, from_json(left), from_json(right))
        case ["fifth", of]:
            return Relative(from_json(of))
        case ["constant", number]:
            return Constant(float(number))
        case ["season", part]:
            return OfCutoff(Season(part))
    return _tally_from_json(document)


def _tally_to_json(tally: Expression) -> list[Any]:  # Any: JSON
    match tally:
        case Window(what, chosen, last, ago, during, half_life):
            return ["window", what.value, _chosen(chosen), last, ago, during and _hours(during), half_life]
        case Age(end, chosen):
            return ["age", end.value, _chosen(chosen)]
        case OfDays(operator, chosen, number):
            return ["days", operator, _chosen(chosen), number]
        case Breadth(what, by, chosen, last):
            return ["breadth", what.value, by, _chosen(chosen), last]
        case Latest(chosen, among):
            return ["latest", _chosen(chosen), list(among)]
    raise TypeError(f"{tally!r} is not an expression of the language")


def _tally_from_json(document: list[Any]) -> Expression:  # Any: JSON
    match document:
        case ["window", what, chosen, last, ago, during, half_life]:
            hours = Hours(tuple(during[0]), tuple(during[1]), Clock(*during[2])) if during else None
            return Window(Additive(what), _chosen_of(chosen), last, ago, hours, half_life)
        case ["age", end, chosen]:
            return Age(End(end), _chosen_of(chosen))
        case ["days", operator, chosen, number]:
            return OfDays(operator, _chosen_of(chosen), float(number))
        case ["breadth", what, by, chosen, last]:
            return Breadth(Variety(what), by, _chosen_of(chosen), last)
        case ["latest", chosen, among]:
            return Latest(_chosen_of(chosen), tuple(among))
    raise BadInput(f"{document!r} is not an expression that this version knows; train again with this version.")


def _chosen(chosen: Chosen) -> list[Any]:  # Any: JSON
    said = [list(chosen.kinds), chosen.measure, chosen.least, chosen.below]
    return [*said, True] if chosen.dated else said  # what is not dated keeps the fingerprint that it always had


def _chosen_of(document: list[Any]) -> Chosen:  # Any: JSON
    kinds, measure, least, below, *dated = document
    return Chosen(tuple(kinds), measure, least, below, bool(dated))


def _hours(during: Hours) -> list[Any]:  # Any: JSON
    return [list(during.hours), list(during.weekdays), [during.clock.timezone, during.clock.told_by]]
