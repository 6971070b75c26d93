"""Pictures of a back-test, readable in black and white; every function returns a Figure and touches no global state."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from features.user_events import FloatArray
from training.backtest import Backtest
from training.metrics import CALIBRATION_BINS, Estimate, user_weights
from training.model_age import Age
from training.plots import STYLES
from training.trial import NAMES, OURS, Trial

TITLES = {
    "auc": "AUC",
    "log_loss": "log loss",
    "recall_at_10": "recall at 10 %",
    "predicted_over_observed": "predicted ÷ observed",
}
FEWEST_POINTS = 2  # of a line
BAND: dict[str, Any] = {"color": "0.88", "linewidth": 0, "zorder": 0}  # Any: whatever an area can be told
RULE: dict[str, Any] = {"color": "0.6", "linewidth": 1, "zorder": 1}  # Any: as above


def figures(found: Backtest) -> dict[str, Figure]:
    """The pictures by name; those that need two origins, or both outcomes, are left out where there are none."""
    pictures = {"over_time": over_time(found)}
    if found.ageing.ages:
        pictures["model_age"] = model_age(found.ageing.ages)
    if not found.pooled.ours["auc"].missing_because:
        pictures["calibration"] = calibration(
            found.pooled, seed=found.settings.seed, replicates=found.settings.replicates
        )
    return pictures


def over_time(found: Backtest) -> Figure:
    """Four metrics at each test cutoff, the model with its intervals, the baselines beside it."""
    figure = Figure(figsize=(10.5, 7.5), layout="constrained")
    figure.suptitle("How steady is it from origin to origin?")
    axes: Sequence[Axes] = figure.subplots(2, 2, sharex=True).ravel()
    dates = [origin.cutoff.strftime("%Y-%m-%d") for origin in found.origins]
    for one, (metric, title) in zip(axes, TITLES.items(), strict=True):
        _lines(one, [origin.trial for origin in found.origins], metric)
        one.set(ylabel=title)
        one.set_xticks(np.arange(len(dates)), dates, rotation=45, ha="right")
        one.spines[["top", "right"]].set_visible(False)
    axes[-1].axhline(1, **RULE)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def model_age(ages: Sequence[Age]) -> Figure:
    """What old models are above fresh ones in log loss and below them in AUC, and whether their level holds."""
    figure = Figure(figsize=(8, 8), layout="constrained")
    axes: Sequence[Axes] = figure.subplots(3, 1, sharex=True).ravel()
    days = [age.days for age in ages]
    for one, estimates, title, level in (
        (axes[0], [age.log_loss for age in ages], "log loss,\nold minus fresh", 0),
        (axes[1], [age.auc for age in ages], "AUC,\nold minus fresh", 0),
        (axes[2], [age.level for age in ages], "predicted ÷ observed\nof the old models", 1),
    ):
        one.axhline(level, **RULE)
        _with_intervals(one, days, estimates)
        one.set(ylabel=title)
        one.spines[["top", "right"]].set_visible(False)
    for age in ages:
        if age.shown:
            axes[0].annotate("decay", (age.days, age.log_loss.value), xytext=(7, 5), textcoords="offset points")
    axes[0].set_title("Does a model fade as it grows older?")
    axes[2].set_xlabel("age of the model in days (in brackets: pairs of origins)")
    axes[2].set_xticks(days, [f"{age.days}\n({age.pairs})" for age in ages])
    return figure


def calibration(trial: Trial, *, seed: int, replicates: int) -> Figure:
    """Predicted against observed share in tenths of all origins' rows; intervals draw users with all their rows."""
    predicted, observed = _tenths(trial, np.ones((1, len(trial.labels))))
    drawn = [_tenths(trial, weights)[1] for weights in user_weights(trial.users, seed=seed, replicates=replicates)]
    low, high = np.nanquantile(np.concatenate(drawn), [0.025, 0.975], axis=0)
    figure = Figure(figsize=(6, 6.2), layout="constrained")
    axes = figure.subplots()
    edge = min(1.0, 1.05 * max(float(predicted.max()), float(high.max())))
    axes.plot([0, edge], [0, edge], color="0.6", linestyle="--", label="perfect")
    axes.vlines(predicted[0], low, high, color="black", linewidth=1.2)
    axes.plot(predicted[0], observed[0], color="black", marker="o", label="a tenth of all test rows each")
    axes.set(
        title="Do probabilities come true, over all origins?",
        xlabel="predicted churn probability",
        ylabel="observed share of churners",
        xlim=(0, edge),
        ylim=(0, edge),
    )
    axes.legend(loc="upper left", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def _tenths(trial: Trial, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Predicted and observed share `[replicates, tenths]`, lowest probability first; NaN where nobody was drawn."""
    parts = [
        part
        for part in np.array_split(np.argsort(trial.probabilities[OURS], kind="stable"), CALIBRATION_BINS)
        if len(part)
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = [
            [weights[:, part] @ values[part] / weights[:, part].sum(axis=1) for part in parts]
            for values in (trial.probabilities[OURS], trial.labels)
        ]
    return np.array(found[0]).T, np.array(found[1]).T


def _lines(axes: Axes, trials: Sequence[Trial], metric: str) -> None:
    """Every contestant's line; a band around the model's."""
    places = np.arange(len(trials))
    ours = [trial.ours[metric] for trial in trials]
    low, high = np.array([one.low for one in ours]), np.array([one.high for one in ours])
    axes.fill_between(places, low, high, **BAND)
    axes.vlines(places, low, high, color="black", linewidth=1)
    for name in trials[0].evaluations:
        values = [trial.evaluations[name][metric].value for trial in trials]
        rule = "" if len(trials) >= FEWEST_POINTS else "_"
        style: dict[str, Any] = STYLES[name]  # Any: whatever a line can be told
        axes.plot(places, values, label=NAMES[name], marker="o" if name == OURS else rule, markersize=4, **style)
    axes.yaxis.set_major_locator(MaxNLocator(6))


def _with_intervals(axes: Axes, days: Sequence[int], estimates: Sequence[Estimate]) -> None:
    values = np.array([one.value for one in estimates])
    ends = np.array([[one.value - one.low, one.high - one.value] for one in estimates]).T
    axes.errorbar(days, values, yerr=np.maximum(ends, 0), color="black", marker="o", markersize=4, capsize=3)
