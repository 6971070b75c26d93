"""The gate: may this challenger take the champion's place? Every check with its figures, and one verdict, as data.

A check that cannot be held has not been passed. Non-inferiority in the usual sense (Piaggio and others 2012): the
challenger has shown that it is not worse by more than a margin when the whole 95 % interval of the paired difference
lies on the right side of that margin. Where users are few the interval is wide, and nothing has been shown.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from features.errors import BadInput
from features.kinds import is_reserved
from features.plan import make_plan
from features.summary import LogSummary
from features.windows import iso
from training.contest import WINDOWS, Contender, Contest, ContestLog, OnProgress, hold_contest
from training.metrics import Estimate
from training.pace import Clock, Pace, paces
from training.paired import REPLICATES, Compared, OfSegment, Pair, compare
from training.verdict import Decision

LEVEL = (0.9, 1.1)  # predicted ÷ observed churners: what a calibrated model keeps to
LEVEL_SLACK = 0.02  # so much further from 1 (in logs) than the champion is no difference worth a refusal
CALIBRATION_ERROR = 0.02  # at most, or
CALIBRATION_SLACK = 0.005  # no more than so much above the champion's
SEGMENT_MARGIN = 0.05  # of the champion's log loss there: less in one segment is made up for by the others
BROKEN_MARGIN = 0.01  # of the log loss: on rows that it has learnt from a model has to be the better one
TIMES_SLOWER = 2.0  # than the champion
FREE_A_ROW = 50e-6  # seconds: a million users in under a minute are quick enough, whatever the champion takes
FREE_A_USER = 10e-3  # seconds: a request that waits so long for a score is not slow
_FIRST_NAMES = 5  # that a sentence lists
_RANGES: dict[str, tuple[float, float]] = {
    "capacity": (0.001, 1),
    "log_loss_margin": (0, 1),
    "recall_margin": (0, 1),
    "windows": (1, 100),
    "segment_users": (1, 1_000_000_000),
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the gate asks for and can be turned."""

    capacity: float = 0.10  # the share of users that a team can look after
    log_loss_margin: float = (
        0.02  # of the champion's log loss: 2,300 users at four windows can show that, not half of it
    )
    recall_margin: float = 0.05  # of the champion's recall at capacity
    windows: int = WINDOWS
    segment_users: int = 200  # fewer say nothing about a segment; as the verdict on a training
    replicates: int = REPLICATES
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises `BadInput` for a rule outside its range, before time is spent on it."""
        for name, (lowest, highest) in _RANGES.items():
            if not lowest <= getattr(self, name) <= highest:
                raise BadInput(f"[gate] {name} is {getattr(self, name)}; expected {lowest:g} to {highest:g}.")


@dataclass(frozen=True, slots=True)
class Check:
    """One question of the gate and its answer; a `margin` is the bound that decided."""

    name: str
    passed: bool
    sentence: str
    figures: dict[str, Any] = field(default_factory=dict)  # Any: JSON
    margin: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The check as plain JSON; a figure that is missing is null."""
        return {
            "name": self.name,
            "passed": self.passed,
            "sentence": self.sentence,
            "figures": _plain(self.figures),
            "margin": self.margin,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the challenger may be promoted, and every check."""

    challenger: str
    champion: str | None  # none: nothing serves yet, so there is nobody to be compared with
    held_at: datetime
    log_version: int | None
    checks: tuple[Check, ...]
    evidence: dict[str, Any] = field(default_factory=dict)  # Any: JSON; windows, rows, and who was shown how

    @property
    def passed(self) -> bool:
        """Whether every check was passed."""
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> list[Check]:
        """The checks that speak against it."""
        return [check for check in self.checks if not check.passed]

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The whole verdict as one plain JSON document."""
        return {
            "passed": self.passed,
            "challenger": self.challenger,
            "champion": self.champion,
            "held_at": iso(self.held_at),
            "log_version": self.log_version,
            "evidence": _plain(self.evidence),
            "checks": [check.to_json() for check in self.checks],
        }


def hold_gate(  # noqa: PLR0913 - who, on what, by which rules, and what only the door has: time, clock, processors
    log: ContestLog,
    champion: Contender | None,
    challenger: Contender,
    *,
    summary: LogSummary,
    now: datetime,
    clock: Clock,
    rules: Rules,
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> Verdict:
    """Every check that can be held; where the two are not comparable, those that say why.

    Without a champion there is no contest: what remains are the challenger's own checks. `clock` counts seconds.
    Raises `BadInput` when the history has no window to compare on.
    """
    checks = before_contest(challenger, champion, summary=summary)
    evidence: dict[str, Any] = {}  # Any: JSON
    if champion is not None and not not_comparable(checks):
        contest = hold_contest(
            log,
            champion,
            challenger,
            history=summary,
            most_windows=rules.windows,
            workers=workers,
            on_progress=on_progress,
        )
        pair = compare(
            contest,
            capacity=rules.capacity,
            fewest_users=rules.segment_users,
            seed=rules.seed,
            replicates=rules.replicates,
        )
        pace = paces(log, contest, contenders=(champion, challenger), clock=clock)
        checks += after_contest(contest, pair, pace=pace, rules=rules)
        evidence = contest.to_json() | {"auc": _figures(pair.auc)}
    return Verdict(
        challenger=challenger.version,
        champion=None if champion is None else champion.version,
        held_at=now,
        log_version=log.version,
        checks=tuple(checks),
        evidence=evidence,
    )


def before_contest(challenger: Contender, champion: Contender | None, *, summary: LogSummary) -> list[Check]:
    """What is known without asking either of them about anybody."""
    own = [golden(challenger), fingerprint(challenger), available(challenger, summary), own_verdict(challenger)]
    return own if champion is None else [same_definition(champion, challenger), *own]


def after_contest(contest: Contest, pair: Pair, *, pace: Sequence[Pace], rules: Rules) -> list[Check]:
    """What the comparison on the same windows says."""
    checks = [
        _log_loss(pair.log_loss, rules),
        _recall(pair.recall, rules),
        _level(pair.level),
        _calibration_error(pair.calibration_error),
        _segments(pair.segments, rules),
        *_speed(pace),
    ]
    if not contest.challenger.as_deployed:
        checks.append(_deployed(pair))
    return checks


def same_definition(champion: Contender, challenger: Contender) -> Check:
    """Models of different definitions of churn answer different questions: there is no better or worse."""
    ours, theirs = champion.bundle.definition, challenger.bundle.definition
    figures = {"champion": ours.id, "challenger": theirs.id}
    if ours.id == theirs.id:
        return Check("definition", True, f"both predict the same: {ours.says()}", figures)
    words = (
        f"they are not comparable, because churn means something else to each. Version {champion.version}: "
        f"{ours.says()} Version {challenger.version}: {theirs.says()}"
    )
    return Check("definition", False, words, figures)


def golden(challenger: Contender) -> Check:
    """It was loaded, and a bundle is loaded only when its sums are right and its golden rows come out as saved."""
    return Check("golden_rows", True, f"version {challenger.version} predicts what it predicted when it was saved.")


def damaged(version: str, complaint: str) -> Check:
    """The same for a bundle that could not be loaded."""
    return Check("golden_rows", False, f"version {version} fails its own checks: {complaint}")


def fingerprint(challenger: Contender) -> Check:
    """The features in the bundle are those that its model was trained with."""
    found = challenger.bundle.features.fingerprint
    trained = challenger.bundle.facts.get("feature_fingerprint", found)
    right = f"its {len(challenger.bundle.features)} features are those that it was trained with ({found})."
    wrong = f"it was trained with the features {trained}, its bundle holds {found}."
    return Check("fingerprint", trained == found, right if trained == found else wrong, {"found": found})


def available(challenger: Contender, summary: LogSummary) -> Check:
    """Every kind of event and every property that its features read is in the log."""
    features = challenger.bundle.features
    known = {kind.name for kind in summary.kinds}
    columns = {each.name for each in (*summary.properties, *summary.profile_properties)}
    kinds = sorted(kind for kind in features.kinds if not is_reserved(kind) and kind not in known)
    wanted = make_plan(features).wanted.properties
    properties = sorted(name for name in wanted if not name.startswith("_") and name not in columns)
    figures = {"missing_kinds": kinds, "missing_properties": properties}
    if not kinds and not properties:
        return Check("features_available", True, "the log has every kind and property that its features read.", figures)
    named = ", ".join([*kinds, *properties][:_FIRST_NAMES])
    return Check("features_available", False, f"the log has no {named}, which its features read.", figures)


def own_verdict(challenger: Contender) -> Check:
    """What its own training said of it, beside simple rules."""
    said = str(challenger.bundle.facts.get("decision", "unknown"))
    passed = said != str(Decision.DO_NOT)
    return Check("training_verdict", passed, f"the verdict of its own training: {said}.", {"decision": said})


def not_comparable(checks: Sequence[Check]) -> bool:
    """Whether one of the checks makes a contest meaningless."""
    fatal = {"definition", "golden_rows", "fingerprint", "features_available"}
    return any(not check.passed and check.name in fatal for check in checks)


def _log_loss(found: Compared, rules: Rules) -> Check:
    margin = rules.log_loss_margin * found.champion.value
    passed = found.difference.high <= margin
    words = _against(found, digits=4)
    end = _shown_or_not(passed, f"worse by more than {margin:.4f}", better=found.difference.high < 0)
    return Check("log_loss", passed, f"log loss {words}: {end}", _figures(found), {"most": margin})


def _recall(found: Compared, rules: Rules) -> Check:
    name = f"recall among the {rules.capacity:.0%} most at risk"
    if found.champion.missing_because or found.challenger.missing_because:
        why = found.champion.missing_because or found.challenger.missing_because
        return Check("recall_at_capacity", False, f"{name} cannot be told: {why}.", _figures(found))
    margin = -rules.recall_margin * found.champion.value
    passed = found.difference.low >= margin
    end = _shown_or_not(passed, f"worse by more than {-margin:.4f}", better=found.difference.low > 0)
    words = f"{name} {_against(found, digits=4)}: {end}"
    figures = {**_figures(found), "capacity": rules.capacity}
    return Check("recall_at_capacity", passed, words, figures, {"least": margin})


def _level(found: Compared) -> Check:
    ratio, champion = found.challenger, found.champion
    margin = {"low": LEVEL[0], "high": LEVEL[1], "slack": LEVEL_SLACK}
    if ratio.missing_because or ratio.value <= 0:
        return Check("level", False, f"predicted over observed cannot be told: {ratio.missing_because}.", {}, margin)
    inside = ratio.low <= LEVEL[1] and ratio.high >= LEVEL[0]
    no_further = _off(ratio.value) <= _off(champion.value) + LEVEL_SLACK
    words = (
        f"for every churner {ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] are predicted, "
        f"by the champion {champion.value:.3f}"
    )
    end = (
        ""
        if inside or no_further
        else f"; expected {LEVEL[0]:g} to {LEVEL[1]:g}, or no further from 1 than the champion's"
    )
    return Check("level", inside or no_further, f"{words}{end}.", _figures(found), margin)


def _calibration_error(found: Compared) -> Check:
    error, champion = found.challenger, found.champion
    passed = error.low <= CALIBRATION_ERROR or error.value <= champion.value + CALIBRATION_SLACK
    words = f"probabilities are off by {error.value:.1%} [{error.low:.1%}, {error.high:.1%}] on average, "
    end = "" if passed else f"; expected at most {CALIBRATION_ERROR:.0%}, or no more than the champion's"
    margin = {"most": CALIBRATION_ERROR, "slack": CALIBRATION_SLACK}
    words += f"the champion's by {champion.value:.1%}{end}."
    return Check("calibration_error", passed, words, _figures(found), margin)


def _segments(found: Sequence[OfSegment], rules: Rules) -> Check:
    clearly = [one for one in found if one.low > 0 and one.difference > SEGMENT_MARGIN * one.champion]
    figures = {
        one.band.name: {
            "users": one.users,
            "champion": one.champion,
            "challenger": one.challenger,
            "difference": one.difference,
            "low": one.low,
            "high": one.high,
        }
        for one in found
    }
    margin = {"most_of_log_loss": SEGMENT_MARGIN, "fewest_users": rules.segment_users}
    if not found:
        words = f"no segment by tenure, activity or value has {rules.segment_users} users: not looked at."
    elif clearly:
        worst = "; ".join(f"{one.band.name} ({one.users:,} users, log loss {one.difference:+.4f})" for one in clearly)
        words = f"clearly worse where {worst}."
    else:
        words = f"in none of {len(found)} segments by tenure, activity and value is the challenger clearly worse."
    return Check("segments", not clearly, words, figures, margin)


def _speed(pace: Sequence[Pace]) -> Iterator[Check]:
    champion, challenger = pace
    for name, what, free in (("a_row", "a row of a batch", FREE_A_ROW), ("a_user", "one user alone", FREE_A_USER)):
        ours, theirs = getattr(champion, name), getattr(challenger, name)
        most = max(free, TIMES_SLOWER * ours)
        words = f"{what} takes {theirs * 1e6:,.0f} microseconds, the champion's {ours * 1e6:,.0f}"
        end = "" if theirs <= most else f"; expected at most {most * 1e6:,.0f}"
        figures = {"champion_seconds": ours, "challenger_seconds": theirs}
        yield Check(f"seconds_{name}", theirs <= most, f"{words}{end}.", figures, {"most_seconds": most})


def _deployed(pair: Pair) -> Check:
    """The model that would serve, on rows that it has learnt from: being worse there than its recipe, it is broken."""
    loss, level = pair.deployed_log_loss, pair.deployed_level
    margin = BROKEN_MARGIN * pair.log_loss.challenger.value
    off = level.missing_because == "" and (
        (level.low > LEVEL[1] or level.high < LEVEL[0]) and _off(level.value) > _off(pair.level.challenger.value)
    )
    worse = loss.low > 0 and loss.value > margin
    figures = {"log_loss_above_recipe": _estimate(loss), "predicted_over_observed": _estimate(level)}
    words = f"log loss {_signed(loss, digits=4)} against its recipe fitted before the windows"
    if worse or off:
        words += ", though it has learnt from these very rows: something is wrong with this version"
    elif not math.isnan(level.value):
        words += f", {level.value:.3f} predicted for every churner: as it should be on rows that it has learnt from"
    return Check("deployed_model", not (worse or off), f"{words}.", figures, {"most": margin})


def _off(ratio: float) -> float:
    return abs(math.log(ratio)) if ratio > 0 else math.inf


def _against(found: Compared, *, digits: int) -> str:
    return (
        f"{found.challenger.value:.{digits}f} against {found.champion.value:.{digits}f}, "
        f"difference {_signed(found.difference, digits=digits)}"
    )


def _shown_or_not(passed: bool, worse: str, *, better: bool) -> str:
    if better:
        return "better."
    return f"not {worse}." if passed else f"it is not shown that it is not {worse}."


def _signed(estimate: Estimate, *, digits: int) -> str:
    return f"{estimate.value:+.{digits}f} [{estimate.low:+.{digits}f}, {estimate.high:+.{digits}f}]"


def _figures(found: Compared) -> dict[str, Any]:  # Any: JSON
    return {
        "champion": _estimate(found.champion),
        "challenger": _estimate(found.challenger),
        "difference": _estimate(found.difference),
    }


def _estimate(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _plain(thing: Any) -> Any:  # Any: JSON
    if isinstance(thing, dict):
        return {name: _plain(value) for name, value in thing.items()}
    return None if isinstance(thing, float) and not math.isfinite(thing) else thing
