"""What the definition assistant found, as tables of plain text."""

from collections.abc import Sequence
from datetime import timedelta
from math import isinf, isnan
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from features.user_events import FloatArray
from models.definition import ChurnDefinition
from training.advice import percent, spoken
from training.candidates import USUAL_DAYS, Candidate
from training.silence import QUANTILES, ErrorCurves, Gaps, Range, ReturnCurve

if TYPE_CHECKING:
    from training.side_by_side import Agreement, Side  # it is told by this module

WIDTH = 110
_UNKNOWN = "-"


def section(title: str, lines: Sequence[str]) -> str:
    """A heading with its lines below it, long ones wrapped."""
    wrapped = [
        part for line in lines for part in (wrap(line, WIDTH, subsequent_indent="  ") if len(line) > WIDTH else [line])
    ]
    return "\n".join([title, "=" * len(title), *wrapped])


def gaps(found: Gaps) -> list[str]:
    """The quantiles, and who has no gap."""
    heads = ["", *(f"{share:.0%} at most" for share in QUANTILES)]
    rows = [
        ["every gap once", *map(_days, found.each_gap)],
        ["every user once", *map(_days, found.each_user)],
    ]
    return [
        *_aligned([heads, *rows]),
        f"{found.gaps:,} gaps of {found.users:,} users; {found.without:,} users have none. "
        f"{found.short:,} shorter than a day are one visit.",
    ]


def returns(curve: ReturnCurve) -> list[str]:
    """The curve at usual spans; nothing where the log is too short for any."""
    shown = [day for day in USUAL_DAYS if day <= len(curve.days)]
    if not shown:
        return ["The log is too short, or has too few users, to follow any silence for so long."]
    heads = ["silent for", "came back", "silences", "users"]
    rows = [
        [f"{day} days", percent(curve.at(day)), f"{curve.silences[day - 1]:,}", f"{curve.users[day - 1]:,}"]
        for day in shown
    ]
    return _aligned([heads, *rows])


def errors(curves: ErrorCurves) -> list[str]:
    """Both errors at usual spans and where they cross."""
    shown = [day for day in USUAL_DAYS if day < len(curves.days)]
    heads = ["threshold", "declared churned, came back", "declared alive, gone"]
    rows = [
        [
            f"{day} days",
            _hundred(curves.buried[day], curves.buried_low[day], curves.buried_high[day]),
            _hundred(curves.kept[day], curves.kept_low[day], curves.kept_high[day]),
        ]
        for day in shown
    ]
    return [
        *(_aligned([heads, *rows]) if curves.there else []),
        *_where_both_are_equal(curves),
        f"Gone: no act for {curves.gone_after} days. At {len(curves.moments)} moments from "
        f"{curves.moments[0]:%Y-%m-%d} to {curves.moments[-1]:%Y-%m-%d}, a user was still there {curves.there:,} times "
        f"and gone {curves.gone:,} times.",
    ]


def candidates(
    found: Sequence[Candidate], *, recommended: ChurnDefinition | None, in_force: ChurnDefinition | None
) -> list[str]:
    """A line a definition."""
    heads = ["look-back/horizon", "churned", "by cutoff", "a month", "came back", "users", "cutoffs", "to fit on"]
    rows = [
        [
            each.name,
            percent(each.base_rate) if each.cutoffs else _UNKNOWN,
            f"{100 * each.rates.min():.0f}-{100 * each.rates.max():.0f} %" if each.cutoffs else _UNKNOWN,
            _UNKNOWN if isnan(each.trend.value) else f"{100 * each.trend.value:+.1f}",
            _UNKNOWN if isnan(each.came_back.value) else f"{each.came_back.value:.0%}",
            f"{each.users_a_cutoff:,.0f}",
            f"{len(each.cutoffs)}",
            "too short" if each.untrainable else f"{each.fit_cutoffs}",
            " ".join(
                word
                for word, meant in (("recommended", recommended), ("in force", in_force))
                if each.definition == meant
            ),
        ]
        for each in found
    ]
    return [
        *_aligned([[*heads, ""], *rows]),
        "a month: change of the churned share in points; came back: of those called churned; users: at a cutoff.",
    ]


def sides(found: "Sequence[Side]", *, followed: timedelta) -> list[str]:
    """What each definition says, and a line of figures each."""
    heads = ["definition", "churned", "by cutoff", "came back", "fell silent", "users"]
    rows = [
        [
            each.name,
            percent(each.churned) if each.people.any() else _UNKNOWN,
            _from_to(each.rates),
            _UNKNOWN if isnan(each.came_back.value) else percent(each.came_back),
            _UNKNOWN if isnan(each.fell_silent.value) else percent(each.fell_silent),
            f"{each.users_a_cutoff:,.0f}",
        ]
        for each in found
    ]
    long = f"within {followed.days} days after the horizon"
    return [
        *(f"{each.name}: {each.definition.says()}" for each in found),
        "",
        *_aligned([heads, *rows]),
        f"came back: of those called churned, {long}; fell silent: of those called stayed, no activity {long}; "
        "users: at a cutoff.",
    ]


def agreements(found: "Sequence[Agreement]") -> list[str]:
    """A line a pair of definitions."""
    if not found:
        return []
    heads = ["first, second", "users", "both", "first only", "second only", "same label", "kappa"]
    rows = [
        [
            f"{each.first}, {each.second}",
            f"{each.users:,}",
            *(f"{share:.1%}" if each.users else _UNKNOWN for share in _alone(each)),
            percent(each.same) if each.users else _UNKNOWN,
            _UNKNOWN if isnan(each.kappa.value) else f"{each.kappa.value:.2f}",
        ]
        for each in found
    ]
    return [
        *_aligned([heads, *rows]),
        "users: in both populations, each once a cutoff; both, first only, second only: who of them is called churned; "
        "kappa: agreement beyond chance, 1 at most.",
        *(
            f"In the population of one alone: {each.first} {each.only_first:,}, {each.second} {each.only_second:,}."
            for each in found
            if each.only_first or each.only_second
        ),
    ]


def _alone(each: "Agreement") -> tuple[float, float, float]:
    return each.both_churned, each.first_alone, each.second_alone


def _from_to(rates: FloatArray) -> str:
    known = rates[~np.isnan(rates)]
    return f"{100 * known.min():.0f}-{100 * known.max():.0f} %" if len(known) else _UNKNOWN


def _days(day: float) -> str:
    return _UNKNOWN if isnan(day) else f"{day:.0f}"


def _hundred(value: float, low: float, high: float) -> str:
    return _UNKNOWN if isnan(value) else f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _where_both_are_equal(curves: ErrorCurves) -> list[str]:
    if isnan(curves.crossing.value):
        return ["Nobody who was silent at the moments looked at came back: there is nothing to compare."]
    beyond = f"beyond {curves.days[-1]} days, the longest that can be judged"
    return [
        f"They are equal {_where(curves.crossing, beyond)}; "
        f"together they are fewest {_where(curves.fewest_errors, beyond)}. The later of the two is the threshold."
    ]


def _where(days: Range, beyond: str) -> str:
    return beyond if isinf(days.value) else f"at {spoken(days, 'days')}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns in line, all but the first flush right; a last one without a heading stands at its left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 or not rows[0][place] else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
