"""One fresh user: scored alone, from events in a request or in the log, and as tonight's batch would score him.

The only thing that features ask of other users are the fifths of the population. They are those of the newest
population that is known: the score run's, else the one that the training kept in the bundle; none after the cutoff.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from features.fifths import DatedFifths
from features.plan import Plan, make_plan
from features.snapshots import of_user, wanted_by
from features.user_events import UserEvents, Wanted
from models.bundle import Bundle
from models.reasons import Reason, explain
from serving.scoring import check_fingerprint, known_users
from serving.standing import NO_RULES, Facts, HouseRules, Standing
from serving.store.records import Absence, RunFacts


@dataclass(frozen=True, slots=True)
class FreshScore:
    """One user's score; it has no percentile and no tier, which are places among the scores of all."""

    user_id: str
    cutoff: datetime
    churn_probability: float  # 0 to 1, calibrated
    reasons: tuple[Reason, ...]  # strongest first
    standing: Standing  # without a segment, which is a place among all too
    fifths_as_of: datetime | None  # when the population was looked at; None: not asked for, or not known by the cutoff


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

    def score(self, events: UserEvents, *, cutoff: datetime) -> FreshScore | Absence:
        """The score of the only user in `events`, or why he gets none at this cutoff: as in a score run."""
        as_known, population = self.bundle.as_known, self.bundle.definition.population
        if not known_users(events, cutoff=cutoff, as_known=as_known):
            return Absence.UNKNOWN
        if not population.eligible(events, cutoff=cutoff, as_known=as_known)[0]:
            return Absence.OUTSIDE
        facts = of_user(events, self._facts.plan, cutoff=cutoff, as_known=as_known)
        why = self._facts.absences(facts)[0]
        if why is not None:
            return why
        dated = self.fifths_at(cutoff)
        fifths = None if dated is None else dated.fifths
        row = of_user(events, self._plan, cutoff=cutoff, as_known=as_known, fifths=fifths)
        return FreshScore(
            user_id=events.user_ids[0],
            cutoff=cutoff,
            churn_probability=float(self.bundle.model.predict_proba(row)[0, 1]),
            reasons=explain(self.bundle.model, self.bundle.features, row)[0],
            standing=next(self._facts.standings(facts, compared=False)),
            fifths_as_of=None if dated is None else dated.as_of,
        )

    def fifths_at(self, cutoff: datetime) -> DatedFifths | None:
        """The newest fifths of a population at or before the cutoff; later ones would tell of the future."""
        known = (self._of_run, self.bundle.fifths)
        past = [fifths for fifths in known if fifths is not None and fifths.as_of <= cutoff]
        return max(past, key=lambda fifths: fifths.as_of, default=None)

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
