"""Which definition to take, in plain sentences, and what to beware of: from curves and candidates, never from a model.

The threshold is the day from which on two things hold: no more users are wrongly declared churned than wrongly declared
alive, and who has just been silent so long is rather gone than not. The horizon is the shortest usable one that is as
long. The look-back is the shortest usable one that takes in nearly all users who were still there. Usable is what can
be trained and tested honestly. Where the log cannot tell, the sentences say so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite, isinf, isnan

from features.families.roles import role_of
from models.definition import ChurnDefinition
from training.candidates import Candidate
from training.silence import ErrorCurves, Gaps, Json, Range, ReturnCurve

COVERED = 0.9  # of the users who were still there, the share that a look-back should take in
FEWEST_OF_EACH = 10  # users of the rarer outcome at a cutoff: the verdict of a training refuses fewer
STEADY_OF_EACH = 30  # … and is careful below
STEADY_USERS = 200  # … as below so many in all
AS_LONG = 1.1  # a horizon that many times shorter is as long as the threshold: no log knows it to a tenth
NEAR = 1.5  # a horizon shorter than the threshold by more than this ratio is warned of
VAGUE = 2.0  # an interval wider than this ratio tells hardly more than the order of magnitude
TWO_YEARS = timedelta(days=730)  # below, a season was seen once and cannot be told from a trend
FEW_CUTOFFS = 10  # to fit on: below, a model learns little more than one season
DOMINANT = 0.95  # of the acts: the other kinds hardly matter
STILL_COMING = 0.05  # of the gone who come back later: more, and gone is too strong a word
FOREIGN_LABELS = 0.25  # of those called churned who come back
DRIFT = 0.02  # change of the base rate in a month that a calibration from last month does not survive
EXTREME = (0.02, 0.85)  # base rates outside leave little to tell apart
MOSTLY_ONCE = 0.5  # of the users acted on one day only
UNEVEN = 2.0  # ratio of the 0.9 quantiles of gaps, each user once over each gap once
_NINTH = 2  # the place of 0.9 among the quantiles


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A definition and why; no definition where the log carries none."""

    definition: ChurnDefinition | None
    reasons: tuple[str, ...]

    def says(self) -> list[str]:
        """The definition, and a line a reason."""
        meant = self.definition.says() if self.definition else "No definition can be recommended."
        return [meant, *(f"- {reason}" for reason in self.reasons)]

    def to_json(self) -> Json:
        """Plain JSON."""
        meant = self.definition
        return {
            "definition": meant.to_json() if meant else None,
            "says": meant.says() if meant else None,
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True)
class Warned:
    """Something to beware of: a code for machines, a sentence for people."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What advice is drawn from."""

    gaps: Gaps
    returns: ReturnCurve
    errors: ErrorCurves
    candidates: tuple[Candidate, ...]
    kinds: Mapping[str, int]  # acts of each kind, most frequent first
    kinds_named: bool  # by the user, who then knows what is whose
    history: timedelta
    has_hours: bool


def recommend(evidence: Evidence, among: Sequence[Candidate]) -> Recommendation:
    """Of these candidates the shortest horizon from the threshold on, a look-back that takes in nearly all, and why."""
    usable = [each for each in among if _is_usable(each)]
    if not usable:
        return Recommendation(None, tuple(_why_none(among)))
    if isnan(evidence.errors.threshold.value):
        nobody = "nobody who was silent at any of the moments looked at came back: the log shows no threshold."
        return Recommendation(None, (nobody,))
    horizons = sorted({each.definition.horizon.days for each in usable})
    long = [each for each in horizons if each * AS_LONG >= evidence.errors.threshold.value]
    horizon = (long or horizons[-1:])[0]
    best = _look_back([each for each in usable if each.definition.horizon.days == horizon], evidence.errors)
    reasons = [
        *_why_horizon(horizon, horizons, evidence.errors),
        *_why_returns(horizon, evidence.returns),
        *_why_look_back(best.definition.look_back.days, evidence.errors),
        *_what_remains(best, evidence.errors),
    ]
    return Recommendation(best.definition, tuple(reasons))


def warnings(evidence: Evidence, recommendation: Recommendation) -> tuple[Warned, ...]:
    """What to beware of, the gravest first."""
    chosen = [each for each in evidence.candidates if each.definition == recommendation.definition]
    return (
        *_about_threshold(evidence, chosen),
        *(warned for each in chosen for warned in _about_candidate(each)),
        *_about_history(evidence),
        *_about_kinds(evidence),
    )


def spoken(range_: Range, unit: str = "") -> str:
    """Whole days with their interval: `41 [38, 45] days`.

    >>> spoken(Range(40.7, 38.2, float("inf")), "days")
    '41 [38, beyond] days'
    """
    ends = ", ".join(
        "beyond" if isinf(end) else "?" if isnan(end) else f"{end:.0f}" for end in (range_.low, range_.high)
    )
    return f"{range_.value:.0f} [{ends}] {unit}".rstrip()


def percent(range_: Range) -> str:
    """A share with its interval: `22.5 % [20.1, 24.0]`.

    >>> percent(Range(0.2249, 0.2, 0.24))
    '22.5 % [20.0, 24.0]'
    """
    return f"{100 * range_.value:.1f} % [{100 * range_.low:.1f}, {100 * range_.high:.1f}]"


def _is_usable(candidate: Candidate) -> bool:
    return not candidate.untrainable and candidate.fewer_outcome >= FEWEST_OF_EACH


def _look_back(same_horizon: Sequence[Candidate], errors: ErrorCurves) -> Candidate:
    """The shortest look-back that covers nearly all, else the one that is known to cover most, else the shortest."""
    by_length = sorted(same_horizon, key=lambda each: each.definition.look_back)
    known = [each for each in by_length if not isnan(errors.covered(each.definition.look_back.days))]
    enough = [each for each in known if errors.covered(each.definition.look_back.days) >= COVERED]
    return (enough or known[-1:] or by_length)[0]


def _why_none(candidates: Sequence[Candidate]) -> Iterator[str]:
    if not candidates:
        yield "the history does not see a single definition of usual spans to its end: collect more events first."
        return
    trainable = [each for each in candidates if not each.untrainable]
    if not trainable:
        shortest = min(candidates, key=lambda each: each.definition.look_back + 3 * each.definition.horizon)
        yield f"none of the definitions can be trained and tested honestly. {shortest.name}: {shortest.untrainable}"
        return
    most = max(trainable, key=lambda each: each.fewer_outcome)
    yield (
        f"no definition has {FEWEST_OF_EACH} users of either outcome at a cutoff; the nearest is {most.name} with "
        f"{most.fewer_outcome:.1f} of about {most.users_a_cutoff:.0f}."
    )


def _why_horizon(horizon: int, horizons: Sequence[int], errors: ErrorCurves) -> Iterator[str]:
    threshold, longest = errors.threshold, int(errors.days[-1])
    if isinf(threshold.value):
        yield (
            f"Up to {longest} days of silence, the longest that can be judged, {_what_is_wrong(errors)}: the threshold "
            f"lies beyond, and {horizon} days is the longest horizon that can be trained."
        )
        return
    enough = horizon * AS_LONG >= threshold.value
    yield (
        f"From {spoken(threshold, 'days')} of silence on, no more users are declared churned who came back than are "
        "declared alive who are gone, and who has just been silent so long is rather gone than not; "
        f"{horizon} days is the {'shortest such horizon' if enough else 'longest horizon'} that can be trained."
    )
    as_good = [one for one in horizons if one != horizon and threshold.low <= one <= threshold.high]
    if as_good:
        named = " and ".join(f"{one}" for one in as_good)
        yield f"{named} days lie within the interval as well: the log does not tell them apart."


def _what_is_wrong(errors: ErrorCurves) -> str:
    if isinf(errors.crossing.value):
        return "more users are declared churned who came back than are declared alive who are gone"
    return "who has just been silent so long rather comes back"


def _why_returns(horizon: int, returns: ReturnCurve) -> Iterator[str]:
    share = returns.at(horizon)
    if not isnan(share.value):
        yield f"Of the silences that reached {horizon} days, {percent(share)} ended within {returns.within} days more."


def _why_look_back(look_back: int, errors: ErrorCurves) -> Iterator[str]:
    covered = errors.covered(look_back)
    if isnan(covered):
        yield f"A look-back of {look_back} days is longer than what could be judged of who was still there."
    elif covered >= COVERED:
        yield f"{covered:.0%} of the users who were still there had acted within {look_back} days: they are scored."
    else:
        yield (
            f"Only {covered:.0%} of the users who were still there had acted within {look_back} days, the longest "
            "look-back that could be judged and trained; the others are not scored."
        )


def _what_remains(best: Candidate, errors: ErrorCurves) -> Iterator[str]:
    lowest, highest = 100 * best.rates.min(), 100 * best.rates.max()
    yield (
        f"{percent(best.base_rate)} of the population churn, from {lowest:.1f} % to {highest:.1f} % at "
        f"{len(best.cutoffs)} cutoffs; a training fits on {best.fit_cutoffs} of them, about "
        f"{best.users_a_cutoff:,.0f} users each."
    )
    if not isnan(best.came_back.value):
        yield f"Of those called churned, {percent(best.came_back)} acted again within {errors.gone_after} days."


def _about_threshold(evidence: Evidence, chosen: Sequence[Candidate]) -> Iterator[Warned]:
    threshold = evidence.errors.threshold
    if isinf(threshold.value):
        days = int(evidence.errors.days[-1])
        yield Warned(
            "threshold_beyond", f"This log can only judge thresholds up to {days} days; a longer one may be right."
        )
    elif threshold.high / max(threshold.low, 1.0) > VAGUE:
        yield Warned("threshold_vague", f"The threshold is known only roughly: {spoken(threshold, 'days')}.")
    for each in chosen:
        horizon = each.definition.horizon.days
        if isfinite(threshold.value) and horizon * NEAR < threshold.value:
            yield Warned(
                "horizon_too_short",
                f"The horizon of {horizon} days is a compromise with the history; the threshold is "
                f"{spoken(threshold, 'days')}.",
            )
    later = evidence.returns.at(evidence.errors.gone_after)
    if later.value > STILL_COMING:
        yield Warned(
            "gone_come_back",
            f"Gone means here: no act for {evidence.errors.gone_after} days. Of the silences that reached so many, "
            f"{percent(later)} ended all the same within {evidence.returns.within} days more, so the threshold is "
            "rather too short.",
        )


def _about_candidate(best: Candidate) -> Iterator[Warned]:
    rate, trend = best.base_rate.value, best.trend
    if best.users_a_cutoff < STEADY_USERS or best.fewer_outcome < STEADY_OF_EACH:
        yield Warned(
            "few_users",
            f"About {best.users_a_cutoff:.0f} users at a cutoff, {best.fewer_outcome:.0f} of the rarer outcome: "
            "expect wide intervals.",
        )
    if best.fit_cutoffs < FEW_CUTOFFS:
        yield Warned(
            "few_cutoffs", f"Only {best.fit_cutoffs} cutoffs to fit on: a training sees little but one season."
        )
    if not EXTREME[0] <= rate <= EXTREME[1]:
        yield Warned("extreme_base_rate", f"{rate:.1%} of the population churn: there is little to tell apart.")
    if abs(trend.value) >= DRIFT and (trend.low > 0 or trend.high < 0):
        way = "rises" if trend.value > 0 else "falls"
        yield Warned(
            "drift",
            f"The base rate {way} by {100 * abs(trend.value):.1f} points a month: probabilities learnt on older "
            "cutoffs will be off.",
        )
    if best.came_back.value > FOREIGN_LABELS:
        yield Warned(
            "labels_come_back",
            f"{best.came_back.value:.0%} of those called churned come back: this predicts a pause as much as an end.",
        )


def _about_history(evidence: Evidence) -> Iterator[Warned]:
    if evidence.history < TWO_YEARS:
        yield Warned(
            "seasons",
            f"The log covers {evidence.history.days} days, less than two years: a season cannot be told from a trend, "
            "and the intervals know nothing of it.",
        )
    if not evidence.has_hours:
        yield Warned("dates_only", "Events carry a date and no hour: every span is known to about a day at best.")


def _about_kinds(evidence: Evidence) -> Iterator[Warned]:
    total, gaps = sum(evidence.kinds.values()), evidence.gaps
    (first, acts), *others = evidence.kinds.items()
    if others and acts / total >= DOMINANT:
        yield Warned(
            "one_kind", f"{acts / total:.0%} of the acts are of kind {first!r}: the other kinds hardly decide anything."
        )
    for kind in evidence.kinds:
        if not evidence.kinds_named and role_of(kind) == "treatment":
            yield Warned(
                "not_theirs", f"{kind!r} looks like something that you do to users; --activity names what is theirs."
            )
    users = gaps.users + gaps.without
    if gaps.without / users >= MOSTLY_ONCE:
        yield Warned(
            "seen_once",
            f"{gaps.without / users:.0%} of the users never paused for a day and came back: most are seen once.",
        )
    if gaps.gaps and gaps.each_user[_NINTH] / max(gaps.each_gap[_NINTH], 1.0) >= UNEVEN:
        yield Warned(
            "few_make_the_gaps",
            f"Nine in ten gaps last at most {gaps.each_gap[_NINTH]:.0f} days, but counted each user once "
            f"{gaps.each_user[_NINTH]:.0f}: frequent users make most of the gaps.",
        )
