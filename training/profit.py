"""What a retention campaign would bring: whom it pays to contact, and which model makes the most of it.

The campaign is that of Verbraken, Verbeke and Baesens (2013, IEEE TKDE 25(5), 961-973): whoever is contacted costs
the contact; of those about to leave a share accepts the offer and stays, which is worth the value of a user less the
incentive; those who would have stayed anyway take the incentive too. So contacting a churner brings
`success_rate * (value - incentive) - contact` on average, and contacting a stayer costs `contact + incentive`.

The *expected maximum profit* (EMPC, there) does not take the share of acceptances as known but as drawn from a beta
distribution, and lets the list be cut best for each. Its integral over the convex hull of the ROC curve is closed:
the hull's segments are the blocks of an isotonic regression of outcomes on scores (Fawcett and Niculescu-Mizil 2007),
and a block is worth contacting from some acceptance rate on, so that only two tails of the distribution are needed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput
from features.user_events import FloatArray
from training.metrics import Estimate, estimate_of, user_weights

CERTAINTY = 20.0  # alpha + beta of the acceptance rate: the paper's 6 + 14, a standard deviation of .1 around .3
_VALUES = "the events' values"


@dataclass(frozen=True, slots=True)
class Costs:
    """What keeping a user is worth and what trying costs, in one currency of the user's own.

    The defaults are the paper's. With `value_days` the value of a kept user is what users spent in so many days,
    and `value` is only known once the rows are.
    """

    value: float = 200.0  # of a user who was about to leave and stays
    contact: float = 1.0
    incentive: float = 10.0
    success_rate: float = 0.3  # of the churners who are contacted, the share that stays for it
    value_days: int = 0
    given: bool = False  # by the user; else the paper's
    remark: str = ""

    def __post_init__(self) -> None:
        """Raises `BadInput` for a rate that is none and for costs below zero."""
        if not 0 < self.success_rate < 1:
            raise BadInput(f"[costs] success_rate is {self.success_rate}; expected a share between 0 and 1.")
        if min(self.contact, self.incentive, self.value) < 0:
            raise BadInput("[costs] a value or a cost is below 0; expected 0 or more.")

    @property
    def churner(self) -> float:
        """What contacting somebody who would leave brings on average."""
        return self.success_rate * (self.value - self.incentive) - self.contact

    @property
    def stayer(self) -> float:
        """What contacting somebody who would stay costs."""
        return self.contact + self.incentive

    @property
    def break_even(self) -> float:
        """The probability of churn from which on contacting pays; above 1 where it never does.

        >>> round(Costs().break_even, 4)
        0.1642
        """
        swing = self.churner + self.stayer
        return self.stayer / swing if swing > 0 else float("inf")

    def says(self) -> str:
        """The costs in a line."""
        whose = "" if self.given else " (the defaults of Verbraken and others 2013, not yours: see [costs])"
        spent = f", what those who left had spent in {self.value_days} days" if self.value_days else ""
        return (
            f"a kept user is worth {self.value:,.2f}{spent}; a contact costs {self.contact:,.2f}, an incentive "
            f"{self.incentive:,.2f}; {self.success_rate:.0%} of the churners accept{whose}"
        )


PAPER = Costs()


def priced(costs: Costs, *, spent: FloatArray, churned: FloatArray, look_back_days: float) -> Costs:
    """The costs with the value of a kept user taken from the events where that was asked for.

    `spent` is what each user's activity was worth in the look-back. The average is that of the users who then left:
    they are the ones to be kept, and they usually spend less than the others. Where nobody left or events carry no
    values the paper's costs stand in, and say why.
    """
    if not costs.value_days:
        return costs
    leaving = spent[churned == 1]
    daily = float(leaving.mean()) / look_back_days if len(leaving) else 0.0
    if daily <= 0:
        return replace(PAPER, remark=f"{_VALUES} say nothing about what a kept user is worth")
    return replace(costs, value=daily * costs.value_days)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The profit of contacting the first of a list: at each distinct score, and 0 for nobody."""

    contacted: FloatArray
    profit: FloatArray

    @property
    def best(self) -> tuple[float, float]:
        """How many to contact for the highest profit, and that profit: known in hindsight only."""
        place = int(np.argmax(self.profit))
        return float(self.contacted[place]), float(self.profit[place])


def profit_curve(labels: FloatArray, scores: FloatArray, *, costs: Costs) -> Curve:
    """The profit by number contacted, highest scores first; users of one score are contacted together.

    >>> free = Costs(value=100, contact=10, incentive=0, success_rate=0.5)
    >>> profit_curve(np.array([0.0, 1.0]), np.array([0.2, 0.9]), costs=free).profit.tolist()
    [0.0, 40.0, 30.0]
    """
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    contacted = np.arange(1, len(labels) + 1)[last_of_tie].astype(np.float64)
    churners = np.cumsum(labels[order])[last_of_tie]
    profit = churners * costs.churner - (contacted - churners) * costs.stayer
    return Curve(np.concatenate([[0.0], contacted]), np.concatenate([[0.0], profit]))


def expected_maximum_profit(labels: FloatArray, scores: FloatArray, *, costs: Costs) -> tuple[float, float]:
    """EMPC for each user, and the share of users that is contacted on average; both 0 where nothing is to be gained.

    >>> labels, scores = np.array([0.0, 1, 0, 1, 0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9])
    >>> [round(found, 4) for found in expected_maximum_profit(labels, scores, costs=PAPER)]
    [23.8756, 0.8744]
    """
    return expected_profit(labels, scores, costs=costs)(np.ones(len(labels)))


def expected_profit(
    labels: FloatArray, scores: FloatArray, *, costs: Costs
) -> Callable[[FloatArray], tuple[float, float]]:
    """A function from the rows' weights to the EMPC of these scores and the share that is contacted on average."""
    from scipy.optimize import isotonic_regression  # noqa: PLC0415 - costs a quarter of a second

    distinct, group = np.unique(-scores, return_inverse=True)

    def compute(weights: FloatArray) -> tuple[float, float]:
        mass = np.bincount(group, weights=weights, minlength=len(distinct))
        churners = np.bincount(group, weights=weights * labels, minlength=len(distinct))
        there = mass > 0
        hull = isotonic_regression(churners[there] / mass[there], weights=mass[there], increasing=False)
        shares = np.asarray(hull.x)[hull.blocks[:-1]]
        return _integral(np.asarray(hull.weights) / mass.sum(), shares, costs=costs)

    return compute


def _integral(mass: FloatArray, share: FloatArray, *, costs: Costs) -> tuple[float, float]:
    """EMPC and the share contacted from the hull's segments: the part of all rows in each, and its churn share."""
    from scipy.special import betainc  # noqa: PLC0415 - as the isotonic regression

    gain, wasted = costs.value - costs.incentive, costs.contact + (1 - share) * costs.incentive
    if gain <= 0:
        return 0.0, 0.0
    some = share > 0  # nobody is contacted where nobody leaves
    worth_from = np.minimum(1.0, wasted / np.where(some, share * gain, 1.0))  # the acceptance rate at which it pays
    worth_from = np.where(some, worth_from, 1.0)
    alpha, beta = CERTAINTY * costs.success_rate, CERTAINTY * (1 - costs.success_rate)
    likely = 1 - betainc(alpha, beta, worth_from)
    accepted = costs.success_rate * (1 - betainc(alpha + 1, beta, worth_from))
    return float((mass * (share * gain * accepted - wasted * likely)).sum()), float((mass * likely).sum())


@dataclass(frozen=True, slots=True)
class Way:
    """A way to choose whom to contact, how many that are of the test rows, and what it brings in all."""

    name: str
    contacted: float
    profit: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Appraisal:
    """What a campaign would bring with each model's list, under the same costs and on the same draws of users."""

    costs: Costs
    rows: int
    capacity: float  # share of the rows
    ways: dict[str, tuple[Way, ...]]  # by model; `nobody` and `everybody` are the same for all
    expected: dict[str, Estimate]  # EMPC for each user
    reached: dict[str, float]  # the share of users that EMPC contacts on average
    gains: dict[str, Estimate]  # our EMPC minus a baseline's

    def way(self, model: str, name: str) -> Way:
        """One of a model's ways."""
        return next(way for way in self.ways[model] if way.name == name)

    def metrics(self, model: str) -> dict[str, Estimate]:
        """The figures of one model that are worth recording; the profits only under the user's own costs."""
        found = {"expected_maximum_profit": self.expected[model]}
        if self.costs.given:
            found |= {f"profit_{way.name}": way.profit for way in self.ways[model]}
        return found

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The whole appraisal as plain JSON."""
        costs = self.costs
        return {
            "costs": {
                "value": costs.value,
                "contact": costs.contact,
                "incentive": costs.incentive,
                "success_rate": costs.success_rate,
                "given": costs.given,
                "remark": costs.remark,
            },
            "break_even": costs.break_even if np.isfinite(costs.break_even) else None,
            "rows": self.rows,
            "capacity": self.capacity,
            "models": {
                name: {
                    "expected_maximum_profit": _ends(self.expected[name]),
                    "contacted_on_average": self.reached[name],
                    "ways": {way.name: {"contacted": way.contacted} | _ends(way.profit) for way in ways},
                }
                for name, ways in self.ways.items()
            },
            "gains": {name: _ends(gain) for name, gain in self.gains.items()},
        }


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """What a model says of the rows: probabilities, and the scores by which it ranks them."""

    probabilities: FloatArray
    scores: FloatArray


def appraise(
    labels: FloatArray,
    models: Mapping[str, Predicted],
    *,
    users: NDArray[np.object_],
    costs: Costs,
    capacity: float,
    ours: str,
    seed: int,
    replicates: int,
) -> Appraisal:
    """Every model's ways and expected maximum profit, with 95 % intervals of the bootstrap that draws users.

    The best number to contact is found on the very rows that it is judged on, so its profit flatters; that of the
    break-even probability, which the costs alone decide, does not.
    """
    names = list(models)
    lists = {name: _lists(labels, models[name], costs, capacity=capacity) for name in names}
    each = labels * costs.churner - (1 - labels) * costs.stayer
    returns = np.column_stack([chosen * each for name in names for chosen in lists[name].values()])
    expected = {name: expected_profit(labels, models[name].scores, costs=costs) for name in names}
    drawn_profit, drawn_expected = [], []
    for weights in user_weights(users, seed=seed, replicates=replicates):
        drawn_profit.append(weights @ returns / weights.sum(axis=1, keepdims=True) * len(labels))
        drawn_expected += [[one(draw)[0] for one in expected.values()] for draw in weights]
    profit, drawn = np.concatenate(drawn_profit), np.array(drawn_expected)
    points = {name: one(np.ones(len(labels))) for name, one in expected.items()}
    found = {name: estimate_of(points[name][0], drawn[:, place]) for place, name in enumerate(names)}
    first = names.index(ours)
    return Appraisal(
        costs=costs,
        rows=len(labels),
        capacity=capacity,
        ways=dict(zip(names, _ways(lists, returns, profit), strict=True)),
        expected=found,
        reached={name: points[name][1] for name in names},
        gains={
            name: estimate_of(points[ours][0] - points[name][0], drawn[:, first] - drawn[:, place])
            for place, name in enumerate(names)
            if name != ours
        },
    )


def _lists(labels: FloatArray, model: Predicted, costs: Costs, *, capacity: float) -> dict[str, FloatArray]:
    """How much of each row is contacted by each way; rows of one score on the border of a list share its places."""
    best, _ = profit_curve(labels, model.scores, costs=costs).best
    return {
        "nobody": np.zeros(len(labels)),
        "everybody": np.ones(len(labels)),
        "at_capacity": _first(model.scores, capacity * len(labels)),
        "from_break_even": (model.probabilities >= costs.break_even).astype(np.float64),
        "best_in_hindsight": _first(model.scores, best),
    }


def _first(scores: FloatArray, places: float) -> FloatArray:
    """The part of each row that is among the first so many."""
    distinct, group = np.unique(-scores, return_inverse=True)
    sizes = np.bincount(group, minlength=len(distinct)).astype(np.float64)
    before = np.concatenate([[0.0], np.cumsum(sizes)[:-1]])
    part: FloatArray = np.clip((places - before) / sizes, 0.0, 1.0)[group]
    return part


def _ways(
    lists: dict[str, dict[str, FloatArray]], returns: FloatArray, profit: FloatArray
) -> Iterator[tuple[Way, ...]]:
    place = 0
    for chosen in lists.values():
        ways = []
        for name, part in chosen.items():
            ways.append(Way(name, float(part.sum()), estimate_of(float(returns[:, place].sum()), profit[:, place])))
            place += 1
        yield tuple(ways)


def _ends(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
