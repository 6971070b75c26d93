"""An expression as one would write it in the language, for people who want to know exactly."""

from features.expressions import (
    Additive,
    Age,
    Arithmetic,
    Breadth,
    Chosen,
    Constant,
    Expression,
    Latest,
    OfCutoff,
    OfDays,
    Relative,
    Window,
)
from features.kinds import PROFILE

_INFIX = frozenset("+-*/")
_UNARY = frozenset({"root", "magnitude"})


def formula(expression: Expression) -> str:
    """The expression in the language, spans as days.

    >>> from features.language import days, events
    >>> formula(events("purchase").count(last=days(28)) / events().count(last=days(91)))
    "events('purchase').count(last=28d) / events().count(last=91d)"
    """
    match expression:
        case Constant(number):
            return f"{number:g}"
        case Arithmetic():
            return _arithmetic(expression)
        case OfCutoff(season):
            return f"season({season.value})"
        case Relative(of):
            return f"fifth_of_population({formula(of)})"
    return _tally(expression)


def _arithmetic(expression: Arithmetic) -> str:
    left, right = expression.left, expression.right
    if expression.operator in _INFIX:
        return f"{_inner(left)} {expression.operator} {_inner(right)}"
    inside = formula(left) if expression.operator in _UNARY else f"{formula(left)}, {formula(right)}"
    return f"{expression.operator}({inside})"


def _tally(expression: Expression) -> str:
    match expression:
        case Window(what, chosen, last, ago, during, half_life):
            said = [f"last={last}d"] * bool(last) + [f"ago={ago}d"] * bool(ago)
            said += [f"half_life={half_life}d"] * bool(half_life)
            if what is Additive.DURING and during is not None:
                said += [f"hours={during.hours}, weekdays={during.weekdays}, timezone={during.clock.timezone!r}"]
                said += [f"user_timezone={during.clock.told_by!r}"] * bool(during.clock.told_by)
            return f"{_events(chosen)}.{what.value}({', '.join(said)})"
        case Age(end, chosen):
            return f"{_events(chosen)}.days_since_{end.value}()"
        case OfDays(operator, chosen, number):
            return f"{_events(chosen)}.{operator}({f'{number:g}' if number else ''})"
        case Breadth(what, by, chosen, last):
            said = [repr(by)] * bool(by) + [f"last={last}d"] * bool(last)
            return f"{_events(chosen)}.{what.value}({', '.join(said)})"
        case Latest(chosen, among) if chosen.kinds == (PROFILE,):
            told = f"among({', '.join(map(repr, among))})" if among else "number()"
            return f"profile({chosen.measure!r}).{told}"
        case Latest(chosen, among):
            return f"{_events(chosen)}.latest({', '.join(map(repr, among))})"
    raise TypeError(f"{expression!r} is not an expression of the language")


def _inner(expression: Expression) -> str:
    text = formula(expression)
    is_compound = isinstance(expression, Arithmetic) and expression.operator in _INFIX
    return f"({text})" if is_compound else text


def _events(chosen: Chosen) -> str:
    text = f"events({', '.join(map(repr, chosen.kinds))})"
    read = "until" if chosen.dated else "of"
    text += f".{read}({chosen.measure!r})" if chosen.measure else ""
    text += "" if chosen.least is None else f".at_least({chosen.least:g})"
    return text + ("" if chosen.below is None else f".below({chosen.below:g})")
