"""One fresh user: scored alone, from events in a request or in the log, and as tonight's batch would score him.

The only thing that features ask of other users are the fifths of the population. They are those of the newest
population that is known: the score run's, else the one that the training kept in the bundle; none after the cutoff.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput
from features.feature_set import FeatureSet
from features.fifths import DatedFifths
from features.plan import Plan, make_plan
from features.snapshots import of_user, wanted_by
from features.user_events import UserEvents, Wanted
from features.windows import utc
from models.bundle import Bundle
from models.reasons import Reason, reasons_of
from serving.house_rules import NO_RULES, HouseRules
from serving.requested import Asked, Event, User, asked_of
from serving.run_facts import check_fingerprint
from serving.scoring import known_users
from serving.standing import Facts, Standing
from serving.store.records import Absence, RunFacts


@dataclass(frozen=True, slots=True)
class FreshScore:
    """One user's score; it has no percentile and no tier, which are places among the scores of all."""

    user_id: str
    cutoff: datetime
    churn_probability: float  # 0 to 1, calibrated
    reasons: tuple[Reason, ...]  # strongest first
    standing: Standing | None = None  # without a segment, a place among all too; None: computed from ready features
    fifths_as_of: datetime | None = None  # of the population; None: not asked for, or not known by the cutoff


@dataclass(frozen=True, slots=True)
class FreshCurve:
    """The risk of one user by day; see `models.risk_curve`."""

    user_id: str
    cutoff: datetime
    days: tuple[int, ...]  # from the start of the horizon
    churn_probability: tuple[float, ...]  # at each of them
    median_days: float | None  # None: later than was learnt


@dataclass(frozen=True)
class FreshScorer:
    """Scores one user at a time; made once for a model and a score run, as its plan takes longer than a score.

    `run` are the facts of the newest score run, if there is one. Raises `Damaged` when the bundle's features are not
    those that it was trained with.
    """

    bundle: Bundle
    model_version: str
    run: RunFacts | None = None
    rules: HouseRules = NO_RULES

    def __post_init__(self) -> None:
        check_fingerprint(self.bundle)

    @cached_property
    def wanted(self) -> Wanted:
        """What must be read of the user's events."""
        return wanted_by(self._plan, as_known=self.bundle.as_known, population=self.bundle.definition.population)

    def warm_up(self) -> None:
        """Score a made-up user, so that nothing is prepared or loaded while a real one waits."""
        event = Event(utc("2026-01-01"), next(iter(self.bundle.definition.activity), "event"), 1.0)
        nobody = asked_of(User("nobody", events=[event]), self.wanted, where="nobody")
        self.answer(nobody, cutoff=utc("2026-01-02"))
        row = np.full((1, len(self.bundle.features)), np.nan)
        self._judged(row, explained=True)  # he may be outside the population
        if self.bundle.hazard is not None:
            self._drawn(row)

    def answer(self, asked: Asked, *, cutoff: datetime, explained: bool = True) -> FreshScore | Absence:
        """What a user who was sent gets: `score` by events, `score_row` by ready features."""
        if isinstance(asked.given, UserEvents):
            return self.score(asked.given, cutoff=cutoff, explained=explained)
        return self.score_row(asked.user_id, asked.given, cutoff=cutoff, explained=explained)

    def score(self, events: UserEvents, *, cutoff: datetime, explained: bool = True) -> FreshScore | Absence:
        """The score of the only user in `events`, or why he gets none at this cutoff: as in a score run.

        Without `explained` it comes without reasons.
        """
        dated = self.fifths_at(cutoff)
        admitted = self._admitted(events, dated, cutoff=cutoff)
        if isinstance(admitted, Absence):
            return admitted
        probability, reasons = self._judged(admitted.row, explained=explained)
        return FreshScore(
            user_id=events.user_ids[0],
            cutoff=cutoff,
            churn_probability=probability,
            reasons=reasons,
            standing=next(self._facts.standings(admitted.facts, compared=False)),
            fifths_as_of=None if dated is None else dated.as_of,
        )

    def curve(self, events: UserEvents, *, cutoff: datetime) -> FreshCurve | Absence:
        """The risk by day of the only user in `events`, or why he gets none; `NotReady` for a model without one."""
        admitted = self._admitted(events, self.fifths_at(cutoff), cutoff=cutoff)
        if isinstance(admitted, Absence):
            return admitted
        return FreshCurve(events.user_ids[0], cutoff, *self._drawn(admitted.row))

    def score_row(
        self, user_id: str, features: Mapping[str, float], *, cutoff: datetime, explained: bool = True
    ) -> FreshScore:
        """The score of ready features, by name; those left out are missing. Raises `BadInput` for an unknown name.

        Who is in the population is not asked, because it cannot be told from features.
        """
        names = self.bundle.features.names
        unknown = sorted(features.keys() - set(names))
        if unknown:
            raise BadInput(f"the model has no feature {', '.join(unknown[:5])}; see GET /v1/features for those it has.")
        row = np.array([[features.get(name, np.nan) for name in names]])
        return FreshScore(user_id, cutoff, *self._judged(row, explained=explained))

    def fifths_at(self, cutoff: datetime) -> DatedFifths | None:
        """The newest fifths of a population at or before the cutoff; later ones would tell of the future."""
        known = (self._of_run, self.bundle.fifths)
        past = [fifths for fifths in known if fifths is not None and fifths.as_of <= cutoff]
        return max(past, key=lambda fifths: fifths.as_of, default=None)

    def _admitted(self, events: UserEvents, dated: DatedFifths | None, *, cutoff: datetime) -> "_Admitted | Absence":
        """What the model and the house rules ask of the only user in `events`, or why he gets no score."""
        as_known, population = self.bundle.as_known, self.bundle.definition.population
        if not population.eligible(events, cutoff=cutoff, as_known=as_known).any():
            known = known_users(events, cutoff=cutoff, as_known=as_known)
            return Absence.OUTSIDE if known else Absence.UNKNOWN
        fifths = None if dated is None else dated.fifths
        both = of_user(events, self._plan, cutoff=cutoff, as_known=as_known, fifths=fifths)
        found = _Admitted(both[:, : len(self.bundle.features)], both[:, len(self.bundle.features) :])
        return self._facts.absences(found.facts)[0] or found

    def _judged(self, row: NDArray[np.float64], *, explained: bool) -> tuple[float, tuple[Reason, ...]]:
        judged = self.bundle.judge(row)
        probability = float(self.bundle.blend.probabilities(judged.margins)[0])
        return probability, reasons_of(self.bundle.features, row, judged.contributions)[0] if explained else ()

    def _drawn(self, row: NDArray[np.float64]) -> tuple[tuple[int, ...], tuple[float, ...], float | None]:
        """The days, the risk by each of them, and the median."""
        from models.risk_curve import median_days, risk_curve, shown_days  # noqa: PLC0415 pandas, only with a curve

        days = shown_days(self.bundle)
        risks = risk_curve(self.bundle, row, days=days).to_numpy()[0]
        median = float(median_days(self.bundle, row)[0])
        return days, tuple(risks.tolist()), None if np.isnan(median) else median

    @cached_property
    def _plan(self) -> Plan:
        """The features and behind them the facts, so that the events are walked once for both."""
        return make_plan(FeatureSet(self.bundle.features.features + self._facts.features.features))

    @cached_property
    def _facts(self) -> Facts:
        return Facts(self.bundle.definition, self.rules)

    @cached_property
    def _of_run(self) -> DatedFifths | None:
        """The run's fifths if the run is this model's: another one may have other features or another population."""
        if self.run is None or self.run.fifths is None:
            return None
        asked = (self.model_version, self.bundle.definition.id, self.bundle.features.fingerprint)
        found = (self.run.model_version, self.run.definition_id, self.run.fifths.fingerprint)
        return self.run.fifths if found == asked else None


@dataclass(frozen=True, slots=True, eq=False)
class _Admitted:
    """Of a user who gets a score."""

    row: NDArray[np.float64]  # [1, features]
    facts: NDArray[np.float64]  # [1, facts]
