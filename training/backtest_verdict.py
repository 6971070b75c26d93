"""Should models of this recipe be used? The verdict on all origins: what they show together, and how they differ.

The findings on all test rows together are those of `training.verdict`. What is added asks about time: is the level
right at every origin, does a rule win at some, does the quality fall, which origin is the worst, how fast do models
age; and for whom the level is off.
"""

from collections.abc import Iterator, Sequence

from training.metrics import Estimate
from training.model_age import Ageing
from training.over_origins import FEWEST_FOR_TREND, Trend
from training.segments import Segment
from training.trial import NAMES, Trial
from training.verdict import BROKEN_LEVEL, LEVEL, Decision, Finding, Verdict, judge

Dated = Sequence[tuple[str, Trial]]
MANY = 0.5  # of the origins: what is wrong at half of them is wrong with the recipe, not with a month
FALL = 0.02  # AUC from the first origin to the last: four times the gain that the verdict asks for
WORSE = 0.05  # AUC below all origins together, beyond what the origin's own interval allows
RULES = ("last_seen_rule", "rfm")


def judge_origins(
    pooled: Trial,
    origins: Dated,
    *,
    trend: Trend | None,
    ageing: Ageing,
    segments_off: Sequence[tuple[Segment, Estimate]] = (),
) -> Verdict:
    """The verdict on all origins; each is its date and its trial, the oldest first."""
    found = [
        *_many_enough(origins),
        *_levels(origins),
        *_rules(origins),
        *_steady(pooled, origins, trend),
        _ages(ageing),
        *_for_whom(segments_off),
    ]
    verdict = judge(pooled, found)
    if verdict.may_be_promoted:
        return verdict
    care = tuple(finding for finding in found if finding.decision is Decision.WITH_CARE)
    return Verdict(verdict.decision, (*verdict.findings, *care))  # who mends the recipe wants to know all that is wrong


def _many_enough(origins: Dated) -> Iterator[Finding]:
    if len(origins) < FEWEST_FOR_TREND:
        many = "one origin" if len(origins) == 1 else f"{len(origins)} origins"
        words = f"only {many} could be tested, expected {FEWEST_FOR_TREND} to tell a trend from chance"
        yield Finding("few_origins", f"{words}: how steady the model is remains unknown.", Decision.WITH_CARE)


def _levels(origins: Dated) -> Iterator[Finding]:
    """Origins at which predicted ÷ observed lay outside the verdict's bounds."""
    found = {date: trial.ours["predicted_over_observed"] for date, trial in origins}
    ratios = {date: one for date, one in found.items() if not one.missing_because}
    off = {date: one for date, one in ratios.items() if _outside(one, LEVEL)}
    broken = [date for date, one in off.items() if not BROKEN_LEVEL[0] <= one.value <= BROKEN_LEVEL[1]]
    if ratios and not off:
        ends = f"{min(one.value for one in ratios.values()):.2f} to {max(one.value for one in ratios.values()):.2f}"
        where = "the only origin" if len(origins) == 1 else f"all {len(origins)} origins"
        words = f"the level held at {where} (predicted ÷ observed {ends})"
        yield Finding("level_held", f"{words}.", Decision.DEPLOY)
    if not off:
        return
    listed = ", ".join(f"{one.value:.2f} at {date}" for date, one in off.items())
    decision = Decision.DO_NOT if len(broken) >= MANY * len(origins) else Decision.WITH_CARE
    words = f"the level was off at {len(off)} of {len(origins)} origins (predicted ÷ observed {listed})"
    yield Finding("level_off_at_origins", f"{words}; trust the order more than the percentages.", decision)


def _rules(origins: Dated) -> Iterator[Finding]:
    """Origins at which a rule of thumb was surely better, in order or in probabilities."""
    for name in RULES:
        lost = [date for date, trial in origins if _beaten(trial, name)]
        if lost:
            words = f"the {NAMES[name]} was better at {len(lost)} of {len(origins)} origins ({', '.join(lost)})"
            decision = Decision.DO_NOT if len(lost) >= MANY * len(origins) else Decision.WITH_CARE
            yield Finding(f"{name}_better_at_origins", f"{words}.", decision)


def _beaten(trial: Trial, name: str) -> bool:
    auc, loss = trial.gain(name, metric="auc"), trial.gain(name, metric="log_loss")
    return not auc.missing_because and (auc.high < 0 or loss.low > 0)


def _steady(pooled: Trial, origins: Dated, trend: Trend | None) -> Iterator[Finding]:
    known = {date: trial.ours["auc"] for date, trial in origins if not trial.ours["auc"].missing_because}
    if len(known) < 2:  # noqa: PLR2004 - one origin has nothing to differ from
        return
    worst, best = min(known, key=lambda date: known[date].value), max(known, key=lambda date: known[date].value)
    ends = f"AUC from {known[worst].value:.3f} ({worst}) to {known[best].value:.3f} ({best})"
    uneven = known[worst].high < pooled.ours["auc"].value - WORSE
    falls = trend is not None and trend.per_100_days.high < 0 and trend.in_all <= -FALL
    if falls and trend is not None:
        slope = f"{trend.per_100_days.value:+.3f} [{trend.per_100_days.low:+.3f}, {trend.per_100_days.high:+.3f}]"
        words = f"the quality falls from origin to origin: AUC {slope} in 100 days, {ends}"
        yield Finding("quality_falls", f"{words}.", Decision.WITH_CARE)
    if uneven:
        words = f"one origin is much worse than the others together ({pooled.ours['auc'].value:.3f}): {ends}"
        yield Finding("uneven", f"{words}; find out what happened then.", Decision.WITH_CARE)
    if not falls and not uneven:
        yield Finding("steady", f"steady over {len(known)} origins: {ends}.", Decision.DEPLOY)


def _ages(ageing: Ageing) -> Finding:
    if ageing.decay is not None:
        return Finding("ages", ageing.says(), Decision.WITH_CARE)
    return Finding("no_decay_shown", ageing.says(), Decision.DEPLOY)


def _for_whom(off: Sequence[tuple[Segment, Estimate]]) -> Iterator[Finding]:
    if off:
        listed = ", ".join(f"{ratio.value:.2f} for {segment.name}" for segment, ratio in off)
        words = f"the level is off for some users (predicted ÷ observed {listed})"
        yield Finding("segment_level_off", f"{words}.", Decision.WITH_CARE)


def _outside(estimate: Estimate, bounds: tuple[float, float]) -> bool:
    return not bounds[0] <= estimate.value <= bounds[1]
