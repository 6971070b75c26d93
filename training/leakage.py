"""Leakage checks: what would make a model look good by knowing what it cannot know, each with the feature named.

A check that finds something says so as a `Finding` that forbids deploying; on clean data all are silent. What a check
looked at is told in either case, so that silence can be weighed. docs/readiness.md lists what each can and cannot see.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from features.families.paid import is_left
from features.feature_set import FeatureSet
from features.snapshots import Bucketed
from features.user_events import FloatArray
from features.windows import iso, to_microseconds
from models.definition import ChurnDefinition
from models.lapse import Lapse
from models.model import ChurnModel
from training.canary import POPULATION, canary
from training.endings import endings
from training.labels import horizons
from training.snapshots import TrainingSet
from training.splits import Cutoffs, Split
from training.trial import Trial
from training.verdict import Decision, Finding

HALVES = 0.5  # a feature alone that leaves but half of what the best rule leaves to a perfect AUC: on four real logs
# the strongest left .76 or more of it
SURE = 3.0  # standard errors by which a feature has to be beyond that
CHANCE = 4.0  # standard errors of the control: no training in ten thousand is to be accused by chance
FEWEST_OF_EACH = 10  # churners and stayers, below which an AUC is a story of single users
MOST_ROWS = 20_000  # of the test that features are ranked on: an AUC is known to .005 there
CONTROL_ROWS, CONTROL_TREES, CONTROL_LEAVES = 10_000, 30, 31  # leaves enough to learn rows by heart, if it could
MOST_CATEGORIES = 50  # whose order means nothing, so that each is given its share of churners
NAMED = 5  # features that a sentence names
SIDES = (("stopping", "validation"), ("rehearsal", "calibration"), ("fit", "test"))


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, what it looked at, and what it found (nothing: clean)."""

    name: str
    looked_at: str
    found: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Leaks:
    """All checks of one training."""

    checks: tuple[Check, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, to be weighed in the verdict."""
        return tuple(finding for check in self.checks for finding in check.found)

    def says(self) -> list[str]:
        """A line a check, and one for each thing it found."""
        lines = []
        for check in self.checks:
            lines.append(f"{check.name:<26}{'FOUND' if check.found else 'clean':<7}{check.looked_at}")
            lines += [f"- {finding.sentence}" for finding in check.found]
        return lines

    def to_json(self) -> list[dict[str, Any]]:  # Any: JSON
        """Plain JSON."""
        return [
            {
                "check": check.name,
                "looked_at": check.looked_at,
                "found": [{"code": one.code, "sentence": one.sentence} for one in check.found],
            }
            for check in self.checks
        ]


NOT_LOOKED = Leaks(())


def in_log(
    log: Bucketed,
    definition: ChurnDefinition,
    features: FeatureSet,
    *,
    split: Split,
    end: datetime,
    as_known: bool = False,
) -> Leaks:
    """The checks that need no model: the canary, and kinds that are written because a user leaves.

    `end` is until when outcomes may be read.
    """
    cutoffs = sorted({split.fit[0], split.calibration[-1], split.test[-1]})
    return Leaks(
        (
            _canary(log, definition, features, cutoffs=cutoffs, as_known=as_known),
            _endings(log, definition, features, end=end),
        )
    )


def in_rows(
    rows: TrainingSet,
    features: FeatureSet,
    *,
    split: Split,
    end: datetime,
    trial: Trial,
    seed: int = 0,
    threads: int = 1,
) -> Leaks:
    """The checks of what is learnt from and tested on; `end` is the log's."""
    return Leaks(
        (
            open_horizons(rows, split.definition, end=end),
            both_sides(rows, split),
            shuffled_control(rows, split, seed=seed, threads=threads),
            single_features(rows.at(split.test[-1:]), features, trial, rules=_rules_of(split.definition, features)),
        )
    )


def open_horizons(rows: TrainingSet, definition: ChurnDefinition, *, end: datetime) -> Check:
    """Right-censoring: no row may have a label whose horizon goes beyond the end of the log."""
    _, ends = horizons(definition, cutoffs=rows.snapshots.cutoffs)
    wrong = ~np.isnan(rows.labels) & (ends > to_microseconds(end))
    found = _finding(
        "open_horizon",
        f"{wrong.sum():,} rows were labelled although their horizon ends after the log, at {iso(end)}: who was not "
        "seen there may only not have been recorded yet. Take an earlier --cutoff",
        when=bool(wrong.any()),
    )
    return Check("open horizons", f"{(~np.isnan(rows.labels)).sum():,} labelled rows", found)


def both_sides(rows: TrainingSet, split: Split) -> Check:
    """No outcome that is learnt from may lie in the time that is tested on, and no row may be there twice."""
    found = [finding for older, newer in SIDES for finding in _overlap(rows, split, older, newer)]
    keys = pd.DataFrame({"user": rows.users, "cutoff": rows.snapshots.cutoffs})
    twice = int(keys.duplicated().sum())
    found += _finding(
        "row_twice",
        f"{twice:,} rows are there twice, of the same user at the same cutoff: what is learnt is tested on",
        when=twice > 0,
    )
    return Check("users in both sides", f"{len(SIDES)} pairs of steps, {len(rows):,} rows", tuple(found))


def shuffled_control(rows: TrainingSet, split: Split, *, seed: int = 0, threads: int = 1) -> Check:
    """Outcomes are dealt out anew within each cutoff; a model that then does better than chance has seen the test.

    Chance is an AUC of .5 with the variance of the rank sum (Mann and Whitney 1947).
    """
    dealt = replace(rows, labels=_shuffled(rows, seed=seed))
    fit, test = _sample(dealt.at(split.fit), CONTROL_ROWS), _sample(dealt.at(split.test), CONTROL_ROWS)
    if min(_fewest(fit.labels), _fewest(test.labels)) < FEWEST_OF_EACH:
        return Check("shuffled control", "too few of either outcome", ())
    model = ChurnModel(
        n_estimators=CONTROL_TREES,
        learning_rate=0.1,
        num_leaves=CONTROL_LEAVES,
        min_child_samples=CONTROL_LEAVES,
        reg_lambda=0.0,
        n_seeds=1,
        booster_weight=1.0,
        categorical=rows.categorical,
        random_state=seed,
        n_threads=threads,
    )
    reached = auc(model.fit(fit.frame, fit.labels).margin(test.frame), test.labels)
    chance = CHANCE * _spread_by_chance(test.labels)
    found = _finding(
        "control_learns",
        f"with outcomes dealt out at random the model still reaches an AUC of {reached:.3f} on {len(test):,} later "
        f"rows, by chance it would stay below {0.5 + chance:.3f}: rows of the test are among those it has learnt from",
        when=reached > 0.5 + chance,
    )
    looked = f"AUC {reached:.3f} on {len(test):,} rows, chance ends at {0.5 + chance:.3f}"
    return Check("shuffled control", looked, found)


def single_features(test: TrainingSet, features: FeatureSet, trial: Trial, *, rules: Sequence[str] = ()) -> Check:
    """No feature alone may be so good that it leaves but half of what the best rule leaves to a perfect AUC.

    `rules` names features that are rules of thumb themselves, beside the silence and the RFM score: where payments
    decide, whoever has paid for a year does not lapse in a month, and that is no leak.
    """
    test = _sample(test, MOST_ROWS)
    known = [trial.evaluations[name]["auc"].value for name in ("last_seen_rule", "rfm")]
    if _fewest(test.labels) < FEWEST_OF_EACH or np.isnan(known).any():
        return Check("single features", "too few of either outcome", ())
    reached = {name: _alone(test, name) for name in test.snapshots.names}
    best_rule = max(0.5, *known, *(reached[name] for name in rules))
    bound = 1 - HALVES * (1 - best_rule)
    best = sorted(reached, key=lambda name: (-reached[name], name))
    suspects = [name for name in best if reached[name] - SURE * spread(reached[name], test.labels) > bound]
    named = "; ".join(f"{name} (“{features[name].pattern}”, AUC {reached[name]:.3f})" for name in suspects[:NAMED])
    more = f" and {len(suspects) - NAMED} more" if len(suspects) > NAMED else ""
    found = _finding(
        "feature_too_good",
        f"too good to be true alone, where your rules reach {best_rule:.3f}: {named}{more}. Make sure that what it "
        "reads is not written, changed or dated back because a user leaves; if it is, leave it out",
        when=bool(suspects),
    )
    looked = f"{len(reached)} features on {len(test):,} rows, the best {best[0]} with AUC {reached[best[0]]:.3f}"
    return Check("single features", f"{looked}; an alarm above {bound:.3f}", found)


def auc(scores: FloatArray, labels: FloatArray) -> float:
    """The area under the ROC curve from ranks, ties half (Hanley and McNeil 1982).

    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0.0, 0.0, 1.0, 1.0]))
    0.75
    """
    churners = labels == 1
    many, others = int(churners.sum()), int((~churners).sum())
    return float((rankdata(scores)[churners].sum() - many * (many + 1) / 2) / (many * others))


def spread(area: float, labels: FloatArray) -> float:
    """The standard error of an AUC on rows of as many users (Hanley and McNeil 1982)."""
    many = float((labels == 1).sum())
    others = len(labels) - many
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (many - 1) * (one - area**2) + (others - 1) * (two - area**2)
    return float(np.sqrt(max(variance, 0.0) / (many * others)))


def _rules_of(definition: ChurnDefinition, features: FeatureSet) -> tuple[str, ...]:
    """The features that say how much paid time is left, where churn is that it runs out."""
    if not isinstance(definition.outcome, Lapse):
        return ()
    renewals = definition.outcome.renewals
    return tuple(feature.name for feature in features if is_left(feature.expression, renewals))


def _canary(
    log: Bucketed, definition: ChurnDefinition, features: FeatureSet, *, cutoffs: Sequence[datetime], as_known: bool
) -> Check:
    done = canary(log, features, definition, cutoffs=cutoffs, as_known=as_known)
    named = "; ".join(
        name if name == POPULATION else f"{name} ({features[name].formula})" for name in done.moved[:NAMED]
    )
    found = _finding(
        "future_read",
        f"events injected after a cutoff change {named}: it reads the future, or what it remembers of another cutoff. "
        "An operator of your own is tested by features.operator_laws.check",
        when=bool(done.moved),
    )
    looked = f"{done.users:,} users, {done.injected:,} events injected after {done.cutoffs} cutoffs"
    return Check("canary", looked, found)


def _endings(log: Bucketed, definition: ChurnDefinition, features: FeatureSet, *, end: datetime) -> Check:
    done = endings(log, definition, features, end=end)
    found = []
    for one in done.found:
        if one.features:
            reads = f"{', '.join(one.features[:NAMED])} read it: leave it out, or let it define churn"
            sentence = f"{one.says()}; {reads}."
            found.append(Finding("kind_of_the_end", sentence, Decision.DO_NOT))
        else:
            advice = "it counts as an event like others; leave it out of the log, or let it define churn"
            found.append(Finding("kind_of_the_end_unnamed", f"{one.says()}; {advice}.", Decision.WITH_CARE))
    return Check("kinds of the end", f"{done.kinds} kinds of {done.users:,} users", tuple(found))


def _overlap(rows: TrainingSet, split: Split, older: str, newer: str) -> Iterator[Finding]:
    learnt: Cutoffs = getattr(split, older)
    tested: Cutoffs = getattr(split, newer)
    if not learnt or not tested:
        return
    late = [cutoff for cutoff in learnt if split.definition.horizon_of(cutoff).end > min(tested)]
    shared = set(rows.at(late).users) & set(rows.at(tested).users)
    yield from _finding(
        "both_sides",
        f"{len(shared):,} users are learnt from at {iso(max(late or learnt))} ({older}) while their horizon reaches "
        f"into what is tested ({newer}, from {iso(min(tested))}): the horizon has to be over before",
        when=bool(late),
    )


def _shuffled(rows: TrainingSet, *, seed: int) -> FloatArray:
    """The known outcomes of each cutoff dealt out anew among its rows."""
    draws = np.random.default_rng(seed)
    labels = rows.labels.copy()
    for cutoff in np.unique(rows.snapshots.cutoffs):
        places = np.flatnonzero((rows.snapshots.cutoffs == cutoff) & ~np.isnan(labels))
        labels[places] = labels[draws.permutation(places)]
    return labels


def _sample(rows: TrainingSet, most: int) -> TrainingSet:
    """At most so many rows, evenly spread over the cutoffs and, within one, over the buckets."""
    if len(rows) <= most:
        return rows
    chosen = np.zeros(len(rows), dtype=np.bool_)
    chosen[np.linspace(0, len(rows) - 1, most).astype(np.int64)] = True
    return rows.where(chosen)


def _alone(test: TrainingSet, name: str) -> float:
    """The AUC of a feature whichever way it points, a missing value at either end."""
    column = test.snapshots.matrix[:, test.snapshots.names.index(name)]
    if name in test.categorical:
        column = _share_of_each(column, test.labels)
    ends = (-np.inf, np.inf) if np.isnan(column).any() else (0.0,)
    areas = [auc(np.where(np.isnan(column), end, column), test.labels) for end in ends]
    return max(max(area, 1 - area) for area in areas)


def _share_of_each(codes: FloatArray, labels: FloatArray) -> FloatArray:
    """Each row's code as the share of churners among those who have it; a missing one stays missing."""
    known = ~np.isnan(codes)
    places = np.minimum(codes[known], MOST_CATEGORIES).astype(np.int64)
    many = np.bincount(places, minlength=1)
    shares = np.bincount(places, weights=labels[known], minlength=1) / np.maximum(many, 1)
    found = np.full(len(codes), np.nan)
    found[known] = shares[places]
    return found


def _spread_by_chance(labels: FloatArray) -> float:
    many = float((labels == 1).sum())
    others = len(labels) - many
    return float(np.sqrt((many + others + 1) / (12 * many * others)))


def _fewest(labels: FloatArray) -> int:
    """The rows of the rarer outcome."""
    return int(min((labels == 1).sum(), (labels == 0).sum()))


def _finding(code: str, sentence: str, *, when: bool) -> tuple[Finding, ...]:
    return (Finding(code, f"{sentence}.", Decision.DO_NOT),) if when else ()
