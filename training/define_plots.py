"""Pictures of what the definition assistant found, readable in black and white; each function returns a Figure."""

from collections.abc import Sequence
from itertools import cycle
from math import isfinite
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from training.candidates import Candidate
from training.define import Assistance
from training.side_by_side import SideBySide
from training.silence import QUANTILES, ErrorCurves, Gaps, ReturnCurve

Style = dict[str, Any]  # Any: whatever a line or an area can be told
BAND: Style = {"color": "0.85", "linewidth": 0, "zorder": 1}
LINE: Style = {"color": "black", "linewidth": 2.0, "zorder": 3}
DASHED: Style = {"color": "black", "linewidth": 2.0, "linestyle": (0, (5, 2)), "zorder": 3}
THIN: Style = {"color": "0.55", "linewidth": 1.0, "zorder": 2}
TITLE_PAD = 20  # points: between title and picture a line is named
FEWEST_CUTOFFS = 5  # of a thin line: fewer show no course
SIDES: tuple[Style, ...] = tuple(
    {"color": color, "linestyle": line, "linewidth": 2.0} for color in ("black", "0.55") for line in ("-", "--", ":")
)
MARK: Style = {"color": "black", "linewidth": 1.2, "linestyle": ":", "zorder": 2}


def figures(found: Assistance) -> dict[str, Figure]:
    """The pictures by name; those that the log is too short for are left out."""
    best = found.recommendation.definition
    horizon = best.horizon.days if best else None
    pictures = {"gaps": gaps(found.gaps)} if found.gaps.gaps else {}
    if len(found.returns.days) > 1:
        pictures["return_curve"] = return_curve(found.returns, horizon=horizon)
    if found.errors.there:
        pictures["error_curves"] = error_curves(found.errors, horizon=horizon)
    if any(len(each.cutoffs) > 1 for each in found.candidates):
        pictures["base_rates"] = base_rates(found.candidates, chosen=found.recommended)
    return pictures


def of_definitions(found: Assistance | None, sides: SideBySide | None) -> dict[str, Figure]:
    """All pictures that there are: of what the log says about silence, and of definitions side by side."""
    pictures = {} if found is None else figures(found)
    return pictures if sides is None else pictures | {"side_by_side": side_by_side(sides)}


def return_curve(curve: ReturnCurve, *, horizon: int | None) -> Figure:
    """The share that comes back by days of silence; beneath, how many users were ever silent so long."""
    figure = Figure(figsize=(8, 6.5), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    above.fill_between(curve.days, curve.low, curve.high, **BAND)
    above.plot(curve.days, curve.back, **LINE)
    above.set(
        ylabel=f"came back within {curve.within} days more",
        ylim=(0, 1),
    )
    above.set_title("Who comes back after so many days of silence?", pad=TITLE_PAD)
    above.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    below.plot(curve.days, curve.users, **LINE)
    below.set(xlabel="days of silence", ylabel="users ever so long", xlim=(0, curve.days[-1]))
    below.set_ylim(bottom=0)
    below.yaxis.set_major_formatter(FuncFormatter(lambda users, _: f"{users:,.0f}"))
    _mark(above, horizon, f"horizon {horizon} d")
    _mark(below, horizon, "")
    _bare(above, below)
    return figure


def error_curves(curves: ErrorCurves, *, horizon: int | None) -> Figure:
    """Both errors over the threshold, their crossing with its interval, and the recommended horizon."""
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    for low, high in ((curves.buried_low, curves.buried_high), (curves.kept_low, curves.kept_high)):
        axes.fill_between(curves.days, low, high, **BAND)
    axes.plot(curves.days, curves.buried, label="declared churned, came back", **LINE)
    axes.plot(curves.days, curves.kept, label="declared alive, gone", **DASHED)
    crossing, last = curves.crossing, float(curves.days[-1])
    if isfinite(crossing.value):
        at = float(np.interp(crossing.value, curves.days, curves.buried))
        axes.hlines(at, crossing.low, min(crossing.high, last), color="black", linewidth=1.2, zorder=4)
        axes.plot(crossing.value, at, marker="o", color="white", markeredgecolor="black", markersize=9, zorder=5)
        axes.annotate(f"equal at {crossing.value:.0f} days", (crossing.value, at), xytext=(0, 24),
                      textcoords="offset points", ha="center", zorder=6,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
    _mark(axes, horizon if horizon is not None and horizon <= last else None, f"horizon {horizon} d")
    highest = float(np.nanmax(curves.kept_high))
    axes.set(
        xlabel="days of silence from which a user is declared churned",
        ylabel="for every user who was still there",
        xlim=(0, last),
        ylim=(0, max(1.0, min(1.5, highest))),
    )
    axes.set_title("Two ways to be wrong about who has left", pad=TITLE_PAD)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.legend(loc="best", frameon=False)
    _bare(axes)
    return figure


def base_rates(candidates: Sequence[Candidate], *, chosen: Candidate | None) -> Figure:
    """The share called churned at every cutoff: the recommended definition with its band, the others thin."""
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    shown = chosen or max(candidates, key=lambda each: len(each.cutoffs))
    others = _one_a_horizon(candidates, shown)
    highest = max(float(each.rates.max()) for each in (shown, *others))
    for each in others:
        above.plot(each.cutoffs, each.rates, **THIN)
        above.annotate(each.name, (each.cutoffs[0], each.rates[0]), xytext=(-4, 0), textcoords="offset points",
                       ha="right", va="center", fontsize=8, color="0.35")  # fmt: skip
    above.fill_between(shown.cutoffs, shown.low, shown.high, **BAND)
    above.plot(shown.cutoffs, shown.rates, marker="o", markersize=4, **LINE)
    above.annotate(shown.name, (shown.cutoffs[-1], shown.rates[-1]), xytext=(6, 0), textcoords="offset points",
                   va="center", fontweight="bold")  # fmt: skip
    above.set(ylabel="share of the population that churned", title="How steady is the base rate?")
    above.set_ylim(0, min(1.0, 1.15 * highest))
    above.margins(x=0.08)
    above.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    below.plot(shown.cutoffs, shown.people, **LINE)
    below.set(xlabel="cutoff", ylabel=f"population ({shown.name})")
    below.set_ylim(0, 1.15 * int(shown.people.max()))
    below.yaxis.set_major_formatter(FuncFormatter(lambda users, _: f"{users:,.0f}"))
    _bare(above, below)
    return figure


def gaps(found: Gaps) -> Figure:
    """The quantiles of the gaps, each gap once and each user once."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(QUANTILES))
    for offset, quantiles, colour, label in (
        (-0.2, found.each_gap, "0.25", "every gap once"),
        (0.2, found.each_user, "0.75", "every user once"),
    ):
        bars = axes.bar(places + offset, quantiles, width=0.38, color=colour, label=label)
        axes.bar_label(bars, fmt="%.0f", fontsize=8)
    axes.set(ylabel="days", title="How long do users pause between two acts?")
    axes.set_xticks(places, [f"{share:.0%} of gaps\nat most" for share in QUANTILES])
    axes.legend(loc="upper left", frameon=False)
    _bare(axes)
    return figure


def side_by_side(found: SideBySide) -> Figure:
    """The share called churned at every cutoff, a line a definition, each with its name at its end."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    when: Any = found.cutoffs  # Any: the stubs of `plot` know no dates
    for side, style in zip(found.sides, cycle(SIDES), strict=False):
        axes.plot(when, side.rates, label=side.name, **style)
    axes.set(ylabel="share called churned", xlabel="cutoff", title="The same cutoffs by each definition")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    _bare(axes)
    return figure


def _one_a_horizon(candidates: Sequence[Candidate], shown: Candidate) -> list[Candidate]:
    """Of every other horizon the shortest look-back, so that lines can be told apart."""
    others: dict[int, Candidate] = {}
    for each in sorted(candidates, key=lambda one: one.definition.look_back):
        horizon = each.definition.horizon.days
        if len(each.cutoffs) >= FEWEST_CUTOFFS and horizon != shown.definition.horizon.days:
            others.setdefault(horizon, each)
    return list(others.values())


def _mark(axes: Axes, day: int | None, label: str) -> None:
    """A line at a day, named above the picture."""
    if day is None or day > axes.get_xlim()[1] + 1:
        return
    axes.axvline(day, **MARK)
    axes.annotate(label, (day, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
                  ha="center", va="bottom", fontsize=9)  # fmt: skip


def _bare(*many: Axes) -> None:
    for axes in many:
        axes.spines[["top", "right"]].set_visible(False)
