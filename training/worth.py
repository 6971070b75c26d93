"""The report's tables of what a decision rests on: bins of probability, the Brier score's parts, profit, stability."""

from collections.abc import Iterator

import numpy as np

from features.windows import iso
from training.metrics import Estimate, Evaluation, calibration_curve
from training.profit import Appraisal, Way
from training.stability import Shift, Stability, Step
from training.trial import NAMES, OURS, Trial

_WILSON = 1.96
_WAYS = {
    "nobody": "contact nobody",
    "everybody": "contact everybody",
    "at_capacity": "the first {share} of the list, the capacity",
    "from_break_even": "who has at least the break-even probability",
    "best_in_hindsight": "the best number, known in hindsight only",
}


def calibration_bins(trial: Trial) -> Iterator[str]:
    """Each tenth of the test rows, lowest probabilities first: predicted and observed share, and the parts of Brier."""
    yield f"{'rows':>8}{'predicted':>12}{'observed':>11}  95 % of its chance  {'gap':>7}"
    for part in calibration_curve(trial.labels, trial.probabilities[OURS]):
        low, high = interval_of_share(part.observed, part.rows)
        shares = f"{part.rows:>8,}{part.predicted:>12.1%}{part.observed:>11.1%}"
        yield f"{shares}  [{low:>6.1%}, {high:>6.1%}]    {part.predicted - part.observed:>+7.1%}"
    yield ""
    yield brier_says(trial.ours)


def brier_says(ours: Evaluation) -> str:
    """What the Brier score is made of, in a line."""
    parts = [
        f"Brier {ours['brier'].value:.4f} = reliability {_figure(ours['brier_reliability'])}",
        f"- resolution {_figure(ours['brier_resolution'])}",
        f"+ uncertainty {_figure(ours['brier_uncertainty'])}",
        f"{ours['brier_within_bins'].value:+.4f} within the bins",
    ]
    return " ".join(parts)


def campaign(appraisal: Appraisal) -> Iterator[str]:
    """What contacting users would bring under these costs, by way of choosing them and by model."""
    yield from says_costs(appraisal)
    if appraisal.costs.given:
        yield ""
        yield from _ways(appraisal)
    yield ""
    yield "Expected maximum profit for each user of the population, and the share that it contacts on average:"
    for name, expected in appraisal.expected.items():
        gain = appraisal.gains.get(name)
        ahead = "" if gain is None else f"   model minus it {gain.says()}"
        yield f"  {NAMES[name]:<22}{expected.says():<28}{appraisal.reached[name]:>6.1%}{ahead}"


def says_costs(appraisal: Appraisal) -> Iterator[str]:
    """The costs, and from which probability on contacting pays under them."""
    costs = appraisal.costs
    if costs.remark:
        yield f"{costs.remark}; so:"
    yield f"{costs.says()}."
    if costs.given and costs.break_even > 1:
        yield "Under these costs contacting never pays, whatever the probability."
    elif costs.given:
        yield f"Contacting pays from a churn probability of {costs.break_even:.1%} on."


def title_of_way(name: str, *, capacity: float) -> str:
    """Whom a way contacts."""
    return _WAYS[name].format(share=f"{capacity:.1%}")


def steadiness(stability: Stability) -> Iterator[str]:
    """Shifts of scores and features and the order of users, cutoff after cutoff."""
    if not stability.steps:
        yield "There are no two consecutive cutoffs that could be compared."
        return
    yield f"{'from':<11}{'to':<11}{'users, in both':<26}{'rank correlation':<23}{'first tenth kept':<18}PSI of scores"
    for step in stability.steps:
        yield _step(step)
    moved = [shift for shift in stability.steps[-1].features if shift.seen]
    watched = len(stability.steps[-1].features)
    yield ""
    yield f"Of the {watched} features that weigh most, {len(moved)} moved by more than chance in the newest step."
    for shift in moved:
        yield f"  {shift.name}: PSI {_shift(shift)}"
    yield "PSI below the noise (in brackets: 95 % of what chance makes of these numbers of rows) says nothing."


def _ways(appraisal: Appraisal) -> Iterator[str]:
    yield f"{'of ' + format(appraisal.rows, ',') + ' test rows':<72}{'contacted':>10}  profit"
    for way in appraisal.ways[OURS]:
        yield _way(title_of_way(way.name, capacity=appraisal.capacity), way)
    for name in appraisal.ways:
        if name != OURS:
            yield _way(f"{NAMES[name]}: {_WAYS['from_break_even']}", appraisal.way(name, "from_break_even"))


def _way(title: str, way: Way) -> str:
    interval = "" if way.name == "nobody" else f" [{way.profit.low:,.0f}, {way.profit.high:,.0f}]"
    return f"{title:<72}{way.contacted:>10,.0f}  {way.profit.value:,.0f}{interval}"


def _step(step: Step) -> str:
    ranks = "-" if np.isnan(step.correlation) else f"{step.correlation:.3f} [{step.low:.3f}, {step.high:.3f}]"
    kept = "-" if np.isnan(step.kept) else f"{step.kept:.0%} of {step.listed:,}"
    dates = f"{iso(step.earlier)[:10]:<11}{iso(step.later)[:10]:<11}"
    users = f"{step.scores.before:,} to {step.scores.after:,}, {step.in_both:,}"
    return f"{dates}{users:<26}{ranks:<23}{kept:<18}{_shift(step.scores)}"


def _shift(shift: Shift) -> str:
    return f"{shift.index:.4f} ({shift.noise:.4f})"


def _figure(estimate: Estimate) -> str:
    return estimate.says(digits=4)


def interval_of_share(share: float, rows: int) -> tuple[float, float]:
    """The interval of Wilson (1927) for a share, as if the bin's users were independent."""
    z = _WILSON**2 / rows
    middle, reach = (share + z / 2) / (1 + z), _WILSON * (share * (1 - share) / rows + z / (4 * rows)) ** 0.5 / (1 + z)
    return max(0.0, middle - reach), min(1.0, middle + reach)
