"""Pictures of what explains a training, readable in black and white; every function returns a Figure."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from training.dependence import Dependence
from training.explained import Explained
from training.importance import LeftOut
from training.metrics import Estimate
from training.segments import Segment
from training.trial import OURS
from training.tuned import PRUNED, Tuned

RULE: dict[str, Any] = {"color": "0.6", "linewidth": 1, "zorder": 1}  # Any: what a line can be told
DOT: dict[str, Any] = {"color": "black", "marker": "o", "markersize": 4, "linestyle": "none", "capsize": 3}  # Any: too
COLUMNS = 2  # of the pictures of dependence
LINE_OF_TITLE = 48  # characters, which a half of the picture holds
DENSITY: dict[str, Any] = {"color": "0.6", "edgecolor": "white", "linewidth": 0.4}  # Any: as above


def figures(explained: Explained) -> dict[str, Figure]:
    """The pictures by name; what was not asked for, or says nothing, has none."""
    pictures = {}
    if explained.importance.features:
        pictures["features"] = bars(
            explained.importance.features, title="The features that move the score most", xlabel=CONTRIBUTION
        )
    if explained.left_out:
        pictures["left_out"] = left_out(explained.left_out)
    if explained.dependence:
        pictures["dependence"] = dependence(explained.dependence)
    judged = [segment for segment in explained.segments if segment.trial is not None]
    if judged:
        pictures["segments"] = segments(judged)
    return pictures


CONTRIBUTION = "mean absolute contribution (log-odds)"


def bars(sizes: dict[str, float], *, title: str, xlabel: str) -> Figure:
    """A bar a name, the longest first."""
    figure = Figure(figsize=(7, 1.2 + 0.3 * max(1, len(sizes))), layout="constrained")
    axes = figure.subplots()
    axes.barh(list(sizes), list(sizes.values()), color="0.4")
    axes.invert_yaxis()
    axes.set(xlabel=xlabel, title=title)
    _bare(axes)
    return figure


def left_out(found: Sequence[LeftOut]) -> Figure:
    """What the log loss is without each family, with its interval; right of the line the model is worse without it."""
    ordered = sorted(found, key=lambda one: -one.log_loss.value)
    figure = Figure(figsize=(7, 1.4 + 0.32 * len(ordered)), layout="constrained")
    axes = figure.subplots()
    _dots(axes, [one.log_loss for one in ordered], [f"{one.family} ({one.features})" for one in ordered])
    axes.axvline(0, **RULE)
    axes.set(
        xlabel="log loss without the family minus log loss with all (right: worse without)",
        title="What each family of features is worth (features in brackets)",
    )
    axes.xaxis.set_major_locator(MaxNLocator(6))
    return figure


def segments(judged: Sequence[Segment]) -> Figure:
    """AUC, and predicted ÷ observed, of each segment that has users enough."""
    figure = Figure(figsize=(10, 1.6 + 0.34 * len(judged)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    ours = [segment.trial.evaluations[OURS] for segment in judged if segment.trial is not None]
    names = [segment.name for segment in judged]
    _dots(left, [one["auc"] for one in ours], names)
    _dots(right, [one["predicted_over_observed"] for one in ours], names)
    right.axvline(1, **RULE)
    left.set(xlabel="AUC within the segment", title="Does the order hold?")
    right.set(xlabel="predicted ÷ observed churners (1: right)", title="Does the level hold?")
    return figure


def dependence(found: Sequence[Dependence]) -> Figure:
    """For each feature the mean probability by its value, and beneath how many users have it."""
    lines = -(-len(found) // COLUMNS)
    figure = Figure(figsize=(10, 3.4 * lines))  # laid out by hand: twelve axes are slow to lay out
    gap, edge = 0.38, 0.45 / (3.4 * lines)
    grid = figure.add_gridspec(
        lines, COLUMNS, hspace=gap, wspace=0.16, left=0.07, right=0.98, top=1 - edge, bottom=edge
    )
    highest = max(point.churn_probability for one in found for point in one.points)
    for place, one in enumerate(found):
        line, column = divmod(place, COLUMNS)
        inner = grid[line, column].subgridspec(2, 1, height_ratios=[3, 1], hspace=0.12)
        above = figure.add_subplot(inner[0])
        below = figure.add_subplot(inner[1], sharex=above)
        (_categories if one.feature.categories else _numbers)(one, above, below)
        above.set_title(fill(one.feature.pattern, LINE_OF_TITLE), fontsize=10)
        above.set(ylim=(0, 1.15 * highest), ylabel="mean risk" if column == 0 else "")
        below.set(ylabel="users" if column == 0 else "")
        above.tick_params(labelbottom=False)
        above.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        above.yaxis.set_major_locator(MaxNLocator(4))
        below.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        _bare(above, below)
    return figure


def tuning(tuned: Tuned) -> Figure:
    """Each trial's log loss in the order in which they were made, and the best so far."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    finished = [trial for trial in tuned.trials if trial.state != PRUNED]
    pruned = [trial for trial in tuned.trials if trial.state == PRUNED]
    axes.plot([t.number for t in finished], [t.log_loss for t in finished], "o", color="0.35", label="trial")
    axes.plot([t.number for t in pruned], [t.log_loss for t in pruned], "x", color="0.6", label="given up early")
    best = np.minimum.accumulate([trial.log_loss for trial in finished])
    axes.step([t.number for t in finished], best, where="post", color="black", linewidth=1.8, label="best so far")
    axes.set(xlabel="trial (0: the settings as they were asked for)", ylabel="log loss on the folds")
    axes.set_title("The search for better settings")
    axes.legend(loc="upper right", frameon=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _bare(axes)
    return figure


def _numbers(one: Dependence, above: Axes, below: Axes) -> None:
    known = one.known
    values = [point.value for point in known]
    above.plot(values, [point.churn_probability for point in known], color="black", marker="o", markersize=3)
    if one.counts:
        edges = np.linspace(one.low, one.high, len(one.counts) + 1)
        below.bar(edges[:-1], one.counts, width=np.diff(edges), align="edge", **DENSITY)
    else:
        gap = float(np.diff(values).min()) if len(values) > 1 else 1.0
        below.bar(values, [point.share * one.rows for point in known], width=0.8 * gap, **DENSITY)
    if one.feature.pattern.count("N %") and one.high <= 1:
        below.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if one.unknown is not None:
        told = f"not known ({one.unknown.share:.0%}): {one.unknown.churn_probability:.1%}"
        above.axhline(one.unknown.churn_probability, linestyle=":", color="0.4", linewidth=1.2, label=told)
        above.legend(loc="lower left", frameon=False, fontsize=8)


def _categories(one: Dependence, above: Axes, below: Axes) -> None:
    places = range(len(one.points))
    above.plot(places, [point.churn_probability for point in one.points], "o", color="black")
    below.bar(places, [round(point.share * one.rows) for point in one.points], color="0.6")
    below.set_xticks(list(places), [point.label for point in one.points])


def _dots(axes: Axes, found: Sequence[Estimate], names: Sequence[str]) -> None:
    places = np.arange(len(found))
    reach = np.array([[one.value - one.low, one.high - one.value] for one in found]).T
    axes.errorbar([one.value for one in found], places, xerr=np.maximum(reach, 0), **DOT)
    axes.set_yticks(places, list(names))
    axes.set_ylim(len(found) - 0.5, -0.5)
    _bare(axes)


def _bare(*many: Axes) -> None:
    for axes in many:
        axes.spines[["top", "right"]].set_visible(False)
