"""Pictures of a trial, readable in black and white; every function returns a Figure and touches no global state."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter
from numpy.typing import NDArray

from features.user_events import FloatArray
from features.windows import to_microseconds
from training import explained_plots
from training.explained_plots import CONTRIBUTION, bars
from training.metrics import calibration_curve
from training.profit import Appraisal, profit_curve
from training.run import Training
from training.splits import Split
from training.trial import NAMES, OURS, Trial

STYLES: dict[str, dict[str, Any]] = {  # Any: what matplotlib takes
    OURS: {"color": "black", "linestyle": "-", "linewidth": 2.2, "zorder": 3},
    "logistic_regression": {"color": "0.35", "linestyle": "--", "linewidth": 1.5},
    "rfm": {"color": "0.45", "linestyle": "-.", "linewidth": 1.3},
    "last_seen_rule": {"color": "0.45", "linestyle": ":", "linewidth": 1.8},
}
MARKS = {
    "from_break_even": ("o", "our list from the break-even probability {probability} on"),
    "at_capacity": ("s", "our list at capacity"),
}
BARS = 30
MOST_POINTS = 1000  # of a curve: more are not visible
FEWEST_ROWS = 20  # before, a lift or a precision is the luck of a few users


def figures(training: Training) -> dict[str, Figure]:
    """The pictures by name; those that need both outcomes are left out when the test rows hold one."""
    pictures = {"timeline": timeline(training.split)}
    pictures["importance"] = bars(training.importance, title="What moves the score, by family", xlabel=CONTRIBUTION)
    if not training.trial.ours["auc"].missing_because:
        trial = training.trial
        pictures |= {
            "calibration": calibration(trial),
            "gains": gains(trial),
            "scores": scores(trial),
            "roc_and_pr": roc_and_pr(trial),
        }
        if trial.appraisal is not None and trial.appraisal.costs.given:
            pictures["profit"] = profit(trial, trial.appraisal)
    if training.explained is not None:
        pictures |= explained_plots.figures(training.explained)
    if training.tuned is not None and training.tuned.trials:
        pictures["tuning"] = explained_plots.tuning(training.tuned)
    return pictures


def calibration(trial: Trial) -> Figure:
    """Predicted against observed share in bins of equal mass; beneath, how many users are at which probability."""
    figure = Figure(figsize=(6, 6.5), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    curve = calibration_curve(trial.labels, trial.probabilities[OURS])
    predicted = np.array([part.predicted for part in curve])
    observed = np.array([part.observed for part in curve])
    error = 1.96 * np.sqrt(observed * (1 - observed) / np.array([part.rows for part in curve]))
    edge = min(1.0, 1.1 * max(predicted.max(), (observed + error).max()))
    above.plot([0, edge], [0, edge], color="0.6", linestyle="--", label="perfect")
    above.errorbar(
        predicted, observed, yerr=error, color="black", marker="o", capsize=3, label="a tenth of the test rows each"
    )
    above.set(ylabel="observed share of churners", title="Do probabilities come true?", xlim=(0, edge), ylim=(0, edge))
    above.legend(loc="upper left", frameon=False)
    below.hist(trial.probabilities[OURS], bins=np.linspace(0, edge, BARS + 1).tolist(), color="0.5")
    below.set(xlabel="predicted churn probability", ylabel="test rows")
    _percent(above, below)
    return figure


def gains(trial: Trial) -> Figure:
    """Which share of the churners is reached with which share of the users, and the lift that this is."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, ranks in trial.scores.items():
        reached, caught = _caught(trial.labels, ranks)
        shown = _thin(len(reached))
        left.plot(reached[shown], caught[shown], label=NAMES[name], **STYLES[name])
        steady = np.flatnonzero(reached >= FEWEST_ROWS / len(trial.labels))[shown]
        right.plot(reached[steady], (caught / reached)[steady], label=NAMES[name], **STYLES[name])
    left.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="at random")
    right.axhline(1, color="0.7", linewidth=1)
    left.set(xlabel="share of users contacted", ylabel="share of churners reached", title="Whom the list catches")
    right.set(xlabel="share of users contacted", ylabel="lift", title="How much better than chance", xlim=(0, 0.5))
    right.set_ylim(bottom=0)
    left.legend(loc="lower right", frameon=False)
    _percent(left)
    right.spines[["top", "right"]].set_visible(False)
    right.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def scores(trial: Trial) -> Figure:
    """How the probabilities of those who left and of those who stayed are spread."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    probabilities = trial.probabilities[OURS]
    edges = np.linspace(0, max(0.01, float(probabilities.max())), BARS + 1).tolist()
    stayed, churned = probabilities[trial.labels == 0], probabilities[trial.labels == 1]
    axes.hist(
        stayed,
        bins=edges,
        weights=np.full(len(stayed), 1 / len(stayed)),
        color="0.8",
        label=f"stayed ({len(stayed):,})",
    )
    axes.hist(
        churned,
        bins=edges,
        weights=np.full(len(churned), 1 / len(churned)),
        histtype="step",
        color="black",
        linewidth=1.8,
        label=f"churned ({len(churned):,})",
    )
    axes.set(xlabel="predicted churn probability", ylabel="share of each group", title="Who got which probability")
    axes.legend(loc="upper right", frameon=False)
    _percent(axes)
    return figure


def roc_and_pr(trial: Trial) -> Figure:
    """The ROC curve and the precision at every recall, model and baselines."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    share = float(trial.labels.mean())
    for name, ranks in trial.scores.items():
        reached, caught = _caught(trial.labels, ranks)
        alarms = (reached - caught * share) / (1 - share)
        shown = _thin(len(reached))
        evaluation = trial.evaluations[name]
        left.plot(alarms[shown], caught[shown], label=f"{NAMES[name]} {evaluation['auc'].value:.3f}", **STYLES[name])
        precision = caught * share / reached
        label = f"{NAMES[name]} {evaluation['pr_auc'].value:.3f}"
        steady = np.flatnonzero(reached >= FEWEST_ROWS / len(trial.labels))[shown]
        right.plot(caught[steady], precision[steady], label=label, **STYLES[name])
    left.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    right.axhline(share, color="0.7", linewidth=1)
    left.set(xlabel="share of stayers alarmed", ylabel="share of churners found", title="ROC curve (AUC)")
    right.set(xlabel="share of churners found", ylabel="precision", title="Precision and recall (PR-AUC)", ylim=(0, 1))
    left.legend(loc="lower right", frameon=False)
    right.legend(loc="upper right", frameon=False)
    _percent(left, right)
    return figure


def profit(trial: Trial, appraisal: Appraisal) -> Figure:
    """The profit by number contacted, model and baselines; where the break-even probability and the capacity lie."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    highest, everybody, curves = 0.0, 0.0, []
    for name, ranks in trial.scores.items():
        curve = profit_curve(trial.labels, ranks, costs=appraisal.costs)
        shown = np.append(np.arange(len(curve.contacted) - 1)[_thin(len(curve.contacted))], len(curve.contacted) - 1)
        axes.plot(curve.contacted[shown], curve.profit[shown], label=NAMES[name], **STYLES[name])
        highest, everybody = max(highest, curve.best[1]), float(curve.profit[-1])
        curves.append(curve)
    for way, (marker, title) in MARKS.items():
        chosen = appraisal.way(OURS, way)
        label = title.format(probability=f"{appraisal.costs.break_even:.0%}")
        axes.plot(chosen.contacted, chosen.profit.value, marker, color="black", markersize=9, label=label, zorder=4)
    axes.axhline(0, color="0.7", linewidth=1)
    if highest > 0:  # what lies far below 0 is of no interest, and would press the rest flat
        bottom = max(1.1 * min(everybody, 0.0), -highest) - 0.05 * highest
        seen = max(float(curve.contacted[curve.profit > bottom].max()) for curve in curves)
        axes.set(ylim=(bottom, 1.1 * highest), xlim=(-0.03 * seen, 1.05 * seen))
    axes.set(xlabel="users contacted", ylabel="profit on the test rows", title="What contacting so many brings")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return figure


def timeline(split: Split) -> Figure:
    """Each step's cutoffs, and the horizon after its newest, over the calendar."""
    steps = {name: cutoffs for name, cutoffs in split.steps().items() if cutoffs}
    figure = Figure(figsize=(10, 0.9 + 0.38 * len(steps)), layout="constrained")
    axes = figure.subplots()
    for place, cutoffs in enumerate(steps.values()):
        axes.hlines([place], _dates([max(cutoffs)]), _dates([split.closes(cutoffs)]), color="0.82", linewidth=11)
        axes.plot(_dates(cutoffs), [place] * len(cutoffs), "|", color="black", markersize=11)
    axes.set_yticks(range(len(steps)), list(steps))
    axes.set_ylim(len(steps) - 0.4, -0.6)
    axes.set_title("How time was split (black: a cutoff; grey: the horizon after the newest)")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _dates(cutoffs: Sequence[datetime]) -> NDArray[np.datetime64]:
    return np.array([to_microseconds(cutoff) for cutoff in cutoffs], dtype="datetime64[us]")


def _caught(labels: FloatArray, ranks: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Share of all rows and of the churners down to each distinct score, highest first."""
    order = np.argsort(-ranks, kind="stable")
    last_of_tie = np.append(np.diff(ranks[order]) != 0, True)
    reached = np.arange(1, len(labels) + 1)[last_of_tie] / len(labels)
    caught = np.cumsum(labels[order])[last_of_tie] / labels.sum()
    return reached, caught


def _thin(count: int) -> slice:
    return slice(None, None, max(1, count // MOST_POINTS))


def _percent(*many: Axes) -> None:
    for axes in many:
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    many[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
