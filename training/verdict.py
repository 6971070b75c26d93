"""Should this model be used? Three answers, each with its reasons in words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from training.metrics import Estimate
from training.trial import NAMES, Trial

FEWEST_USERS = 200  # below, an interval of the AUC is wider than any gain
FEWEST_OF_EACH = 30  # users who left, and users who stayed
LEAST_GAIN = 0.005  # AUC: a smaller one is not worth a model
USUAL_LEAD = 0.03  # AUC over a logistic regression on the same features; on real logs it was a third of that
SUSPICIOUS_AUC = 0.97
LEVEL = (0.8, 1.25)  # predicted ÷ observed churners within which a probability may be taken at its word
BROKEN_LEVEL = (0.5, 2.0)
CALIBRATION_ERROR = 0.05


class Decision(StrEnum):
    """What to do with the model."""

    DEPLOY = "deploy"
    WITH_CARE = "deploy with care"
    DO_NOT = "do not deploy"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason: a code for machines, a sentence for people, and what it alone would decide."""

    code: str
    sentence: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision and its reasons, the weightiest first."""

    decision: Decision
    findings: tuple[Finding, ...]

    @property
    def may_be_promoted(self) -> bool:
        """Whether the model may become champion without being asked for."""
        return self.decision is not Decision.DO_NOT

    def says(self) -> list[str]:
        """The decision, then a line a reason."""
        return [f"{self.decision.upper()}", *(f"- {finding.sentence}" for finding in self.findings)]

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The decision with codes and sentences."""
        reasons = [{"code": finding.code, "sentence": finding.sentence} for finding in self.findings]
        return {"decision": str(self.decision), "reasons": reasons}


def judge(trial: Trial, also: Sequence[Finding] = ()) -> Verdict:
    """The verdict on a trial and on what was found beside it, a leak for example: as bad as the worst finding."""
    severity = list(Decision)
    findings = sorted([*also, *_findings(trial)], key=lambda finding: -severity.index(finding.decision))
    worst = findings[0].decision
    return Verdict(
        worst, tuple(finding for finding in findings if finding.decision is worst or worst is not Decision.DO_NOT)
    )


def _findings(trial: Trial) -> Iterator[Finding]:
    auc = trial.ours["auc"]
    if auc.missing_because:
        yield Finding("one_outcome", f"there is nothing to test: {auc.missing_because}.", Decision.DO_NOT)
        return
    yield from _enough(trial)
    yield from _better_than_rules(trial)
    yield from _against_regression(trial)
    yield from _calibrated(trial)
    yield from _too_good(trial)


_LEAK = "make sure that no event is written because a user leaves, or dated back"


def _enough(trial: Trial) -> Iterator[Finding]:
    users = len(np.unique(trial.users.astype(str)))
    churned = len(np.unique(trial.users[trial.labels == 1].astype(str)))
    stayed = len(np.unique(trial.users[trial.labels == 0].astype(str)))
    if min(churned, stayed) < FEWEST_OF_EACH or users < FEWEST_USERS:
        few = f"only {users} users could be tested on, of whom {churned} churned and {stayed} stayed"
        wanted = f"expected {FEWEST_USERS}, with {FEWEST_OF_EACH} of each"
        hopeless = min(churned, stayed) < FEWEST_OF_EACH // 3
        yield Finding("too_few_users", f"{few}; {wanted}.", Decision.DO_NOT if hopeless else Decision.WITH_CARE)


def _better_than_rules(trial: Trial) -> Iterator[Finding]:
    ours = trial.ours["auc"]
    for name, owner in (("last_seen_rule", "your inactivity rule"), ("rfm", "an RFM score")):
        gain, theirs = trial.gain(name, metric="auc"), trial.evaluations[name]["auc"]
        words = f"(AUC {theirs.value:.3f} against our {ours.value:.3f}, difference {_signed(gain)})"
        loss = trial.gain(name, metric="log_loss")
        if gain.low > 0 and gain.value >= LEAST_GAIN:
            yield Finding(f"better_than_{name}", f"better than {owner} {words}.", Decision.DEPLOY)
        elif loss.high < 0:
            better = f"the probabilities are better all the same (log loss {_signed(loss, digits=4)})"
            yield Finding(f"{name}_ranks_as_well", f"{owner} ranks as well {words}; {better}.", Decision.WITH_CARE)
        else:
            far = f"as far as {len(trial.labels):,} test rows can tell"
            yield Finding(f"{name}_as_good", f"{owner} is as good, {far} {words}.", Decision.DO_NOT)


def _against_regression(trial: Trial) -> Iterator[Finding]:
    name = NAMES["logistic_regression"]
    loss = trial.gain("logistic_regression", metric="log_loss")
    if loss.low > 0:
        words = f"a {name} on the same features gives better probabilities (log loss {_signed(loss, digits=4)})"
        yield Finding("regression_better", f"{words}.", Decision.WITH_CARE)


def _too_good(trial: Trial) -> Iterator[Finding]:
    """What is better than churn can be told by honest means: in itself, or against a simple model that saw the same."""
    auc, lead = trial.ours["auc"], trial.gain("logistic_regression", metric="auc")
    if auc.value > SUSPICIOUS_AUC and trial.foretold:
        words = f"an AUC of {auc.value:.3f} may be what the dates of paid time tell"
        yield Finding("foretold_auc", f"{words}; {_LEAK}.", Decision.WITH_CARE)
    elif auc.value > SUSPICIOUS_AUC:
        yield Finding("suspicious_auc", f"an AUC of {auc.value:.3f} is too good to be true: {_LEAK}.", Decision.DO_NOT)
    elif lead.value > USUAL_LEAD:
        name = NAMES["logistic_regression"]
        words = f"the AUC is {lead.value:.3f} above a {name} on the same features, more than is usual"
        yield Finding("unusual_lead", f"{words}: {_LEAK}.", Decision.WITH_CARE)


def _calibrated(trial: Trial) -> Iterator[Finding]:
    ratio, error = trial.ours["predicted_over_observed"], trial.ours["calibration_error"]
    words = f"for every churner {ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}] were predicted"
    if not BROKEN_LEVEL[0] <= ratio.value <= BROKEN_LEVEL[1]:
        yield Finding("level_broken", f"the level of the probabilities is wrong: {words}.", Decision.DO_NOT)
    elif ratio.high < LEVEL[0] or ratio.low > LEVEL[1] or not LEVEL[0] <= ratio.value <= LEVEL[1]:
        advice = "trust the order more than the percentages"
        yield Finding("level_off", f"the level of the probabilities is off: {words}; {advice}.", Decision.WITH_CARE)
    elif error.value > CALIBRATION_ERROR:
        words = f"probabilities are off by {error.value:.1%} on average"
        yield Finding("calibration_off", f"{words}, expected at most {CALIBRATION_ERROR:.0%}.", Decision.WITH_CARE)
    else:
        yield Finding("calibrated", f"probabilities can be taken at their word: {words}.", Decision.DEPLOY)


def _signed(estimate: Estimate, *, digits: int = 3) -> str:
    return f"{estimate.value:+.{digits}f} [{estimate.low:+.{digits}f}, {estimate.high:+.{digits}f}]"
