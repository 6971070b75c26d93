"""One fresh user: scored alone, from events in a request or in the log, and as tonight's batch would score him.

The only thing that features ask of other users are the fifths of the population. They are those of the newest
population that is known: the score run's, else the one that the training kept in the bundle; none after the cutoff.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput
from features.fifths import DatedFifths
from features.plan import Plan, make_plan
from features.snapshots import of_user, wanted_by
from features.user_events import UserEvents, Wanted, one_user
from features.windows import from_microseconds
from models.bundle import Bundle
from models.reasons import Reason, explain
from serving.house_rules import NO_RULES, HouseRules
from serving.scoring import check_fingerprint, known_users
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

    @property
    def wanted(self) -> Wanted:
        """What must be read of the user's events."""
        population = self.bundle.definition.population
        plans = (self._plan, self._facts.plan)
        wanted = [wanted_by(plan, as_known=self.bundle.as_known, population=population) for plan in plans]
        return replace(wanted[0], properties=tuple(sorted({*wanted[0].properties, *wanted[1].properties})))

    def warm_up(self) -> None:
        """Score a made-up user, so that nothing is prepared or loaded while a real one waits."""
        kind = next(iter(self.bundle.definition.activity), "event")
        seen = 86_400_000_000
        events = one_user("nobody", times=[seen], kinds=[kind], values=[1.0], wanted=self.wanted)
        self.score(events, cutoff=from_microseconds(2 * seen))

    def score(self, events: UserEvents, *, cutoff: datetime, explained: bool = True) -> FreshScore | Absence:
        """The score of the only user in `events`, or why he gets none at this cutoff: as in a score run.

        Without `explained` it comes without reasons, in a fraction of the time.
        """
        facts = self._admitted(events, cutoff=cutoff)
        if isinstance(facts, Absence):
            return facts
        dated = self.fifths_at(cutoff)
        probability, reasons = self._judged(self._row(events, dated, cutoff=cutoff), explained=explained)
        return FreshScore(
            user_id=events.user_ids[0],
            cutoff=cutoff,
            churn_probability=probability,
            reasons=reasons,
            standing=next(self._facts.standings(facts, compared=False)),
            fifths_as_of=None if dated is None else dated.as_of,
        )

    def curve(self, events: UserEvents, *, cutoff: datetime) -> FreshCurve | Absence:
        """The risk by day of the only user in `events`, or why he gets none; `NotReady` for a model without one."""
        from models.risk_curve import median_days, risk_curve, shown_days  # noqa: PLC0415 pandas, only for who asks

        facts = self._admitted(events, cutoff=cutoff)
        if isinstance(facts, Absence):
            return facts
        row = self._row(events, self.fifths_at(cutoff), cutoff=cutoff)
        days = shown_days(self.bundle)
        risks = risk_curve(self.bundle, row, days=days).to_numpy()[0]
        median = float(median_days(self.bundle, row)[0])
        told = None if np.isnan(median) else median
        return FreshCurve(events.user_ids[0], cutoff, days, tuple(risks.tolist()), told)

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

    def _admitted(self, events: UserEvents, *, cutoff: datetime) -> NDArray[np.float64] | Absence:
        """The facts of the only user in `events`, or why he gets no score at this cutoff."""
        as_known, population = self.bundle.as_known, self.bundle.definition.population
        if not known_users(events, cutoff=cutoff, as_known=as_known):
            return Absence.UNKNOWN
        if not population.eligible(events, cutoff=cutoff, as_known=as_known)[0]:
            return Absence.OUTSIDE
        facts = of_user(events, self._facts.plan, cutoff=cutoff, as_known=as_known)
        return self._facts.absences(facts)[0] or facts

    def _row(self, events: UserEvents, dated: DatedFifths | None, *, cutoff: datetime) -> NDArray[np.float64]:
        fifths = None if dated is None else dated.fifths
        return of_user(events, self._plan, cutoff=cutoff, as_known=self.bundle.as_known, fifths=fifths)

    def _judged(self, row: NDArray[np.float64], *, explained: bool) -> tuple[float, tuple[Reason, ...]]:
        model = self.bundle.model
        reasons = explain(model, self.bundle.features, row)[0] if explained else ()
        return float(model.predict_proba(row)[0, 1]), reasons

    @cached_property
    def _plan(self) -> Plan:
        return make_plan(self.bundle.features)

    @cached_property
    def _facts(self) -> Facts:
        return Facts(self.bundle.definition, self.rules)

    @property
    def _of_run(self) -> DatedFifths | None:
        """The run's fifths if the run is this model's: another one may have other features or another population."""
        if self.run is None or self.run.fifths is None:
            return None
        asked = (self.model_version, self.bundle.definition.id, self.bundle.features.fingerprint)
        found = (self.run.model_version, self.run.definition_id, self.run.fifths.fingerprint)
        return self.run.fifths if found == asked else None
