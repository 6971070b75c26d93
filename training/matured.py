"""How good scores were, now that it is known who left: recorded runs whose horizon is over, joined with the log.

The figures stand beside those shown at training, and a difference is told only if it is more than noise *and* matters.
Noise is that of drawing users, ours and the training's (the two intervals, taken as independent); it does not hold what
makes one month unlike another, which is why a difference must matter as well.

Who was contacted is told apart from the others. A campaign that works makes a good prediction look wrong: the level
(predicted ÷ observed) is therefore judged on the others wherever there are enough. That somebody was contacted is no
accident, so neither figure says what the contact did.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from features.pool import OnProgress
from features.snapshots import Bucketed, map_buckets
from features.user_events import FloatArray, UserEvents
from features.windows import cutoffs_back_from, iso, shift, to_microseconds
from models.definition import ChurnDefinition
from training.metrics import Estimate, evaluate
from training.readiness_facts import CutoffFacts, outcomes
from training.watch import Figures, Finding, Gravity, beyond

FEWEST_ROWS, FEWEST_OUTCOMES = 100, 20  # users with a known outcome; churners, and as many who stayed
WORSE_AUC, FAR_WORSE_AUC = 0.02, 0.05  # below what was shown at training: a warning, an alarm
WORSE_LOSS = 0.05  # of the log loss that was shown
LEVELS = ((0.8, 1.25), (0.67, 1.5))  # predicted ÷ observed: outside is a warning, an alarm
MOST_RUNS = 8  # newest runs that are followed up
EARLIER_CUTOFFS = 6  # whose base rates say how much it moves by itself
MOVED_RATE, RATE_JUMP = 0.2, 0.4  # of the base rate: a warning, an alarm
LEAST_MOVE = 0.03  # of all users; a rate of 1 % that becomes 1.5 % changes no list
RATE_ERRORS = 4.0  # standard errors beyond which a rate has moved; there are few cutoffs to judge noise by
_TESTS = 3  # AUC, log loss, level
_WIDTH = 2 * 1.96  # of a 95 % interval in standard errors
METRICS = ("auc", "log_loss", "predicted_over_observed")


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A run of scores as it was served."""

    run_id: int
    model_version: str
    definition_id: str
    cutoff: datetime
    users: NDArray[np.object_]
    probabilities: FloatArray
    promised: Mapping[str, float]  # the figures shown at the training, with `_low` and `_high`


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """A recorded run's users who are still in the log, what became of them, and who was contacted in between."""

    run: Recorded
    labels: FloatArray
    contacted: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of some of the users."""

    rows: int
    churned_share: float
    auc: Estimate
    log_loss: Estimate
    predicted_over_observed: Estimate

    def to_json(self) -> Figures:
        """The figures as plain JSON; what is missing is null."""
        ends = {name: getattr(self, name) for name in METRICS}
        return {
            "rows": self.rows,
            "churned_share": self.churned_share,
            **{
                name: None if each.missing_because else {"value": each.value, "low": each.low, "high": each.high}
                for name, each in ends.items()
            },
        }


def follow_up(
    log: Bucketed,
    definition: ChurnDefinition,
    runs: Sequence[Recorded],
    *,
    log_end: datetime,
    treatments: Collection[str] = (),
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> list[Followed]:
    """What became of the users of the newest runs whose horizon is over, oldest run first; each bucket is read once.

    Runs of another definition are left out. A user was contacted by an event of a kind in `treatments` between the
    cutoff and the end of the horizon.
    """
    over = [run for run in runs if run.definition_id == definition.id]
    over = [run for run in over if definition.horizon_of(run.cutoff).end <= log_end]
    over = sorted(over, key=lambda run: run.cutoff)[-MOST_RUNS:]
    if not over:
        return []

    def of_bucket(events: UserEvents) -> list[Followed]:
        return [_followed(events, definition, run, treatments=treatments) for run in over]

    pieces = map_buckets(log, of_bucket, wanted=definition.population.wanted, workers=workers, on_progress=on_progress)
    return [_joined(run, [piece[place] for piece in pieces]) for place, run in enumerate(over)]


def quality(followed: Sequence[Followed], *, seed: int, next_known: datetime | None) -> Iterator[Finding]:
    """The newest judged version's figures on what has happened since; `next_known` is when there will be some."""
    if not followed:
        when = "" if next_known is None else f"; the first will be known on {iso(next_known)[:10]}"
        yield Finding("no_labels", Gravity.OK, f"no recorded run of scores has a horizon that is over{when}")
        return
    version = followed[-1].run.model_version
    chosen = [each for each in followed if each.run.model_version == version]
    everybody = _group(chosen, seed=seed)
    contacted = sum(int(each.contacted.sum()) for each in chosen)
    others = _group([_only(each, ~each.contacted) for each in chosen], seed=seed) if contacted else everybody
    figures: Figures = {"model_version": version, "runs": len(chosen), "all": everybody.to_json()}
    if contacted:
        figures |= {"not_contacted": others.to_json()}
        figures |= {"contacted": _group([_only(each, each.contacted) for each in chosen], seed=seed).to_json()}
    if not _enough(everybody):
        yield Finding(
            "few_labels",
            Gravity.OK,
            f"of version {version} only {everybody.rows:,} outcomes are known ({everybody.churned_share:.0%} churned), "
            "too few to judge it",
            figures=figures,
        )
        return
    promised = chosen[-1].run.promised
    yield _discrimination(everybody, promised, figures=figures)
    yield _loss(everybody, promised)
    yield _level(others if _enough(others) else everybody, contacted=contacted, apart=_enough(others))


def base_rate(
    log: Bucketed,
    definition: ChurnDefinition,
    *,
    start: datetime,
    log_end: datetime,
    trained_on: float | None,
    workers: int = 1,
) -> Iterator[Finding]:
    """The share who churned at the newest cutoff whose outcome is known, against earlier ones.

    Horizons do not overlap. What is noise is both that of few users and that of earlier cutoffs among themselves.
    """
    newest = shift(log_end, -(definition.lead_time + definition.horizon))
    earliest = shift(start, definition.look_back)
    if newest < earliest:
        return
    cutoffs = cutoffs_back_from(newest, every=definition.horizon, earliest=earliest)[-(EARLIER_CUTOFFS + 1) :]
    seen = outcomes(log, definition, cutoffs, log_end=log_end, workers=workers).cutoffs
    known = [each for each in seen if each.users >= FEWEST_ROWS]
    if len(known) < 2 or known[-1].cutoff != newest:  # noqa: PLR2004 - a move is between two
        yield Finding("base_rate_unknown", Gravity.OK, "too few cutoffs are known to say whether the base rate moved")
        return
    yield _moved(known[-1], known[:-1], trained_on=trained_on)


def _followed(
    events: UserEvents, definition: ChurnDefinition, run: Recorded, *, treatments: Collection[str]
) -> Followed:
    here = np.isin(run.users.astype(str), np.array(events.user_ids, dtype=str))
    users, count = run.users[here], int(here.sum())
    horizon = definition.horizon_of(run.cutoff)
    starts, ends = (np.full(count, to_microseconds(moment), dtype=np.int64) for moment in (horizon.start, horizon.end))
    gone = definition.churned(events, users=users, starts=starts, ends=ends) if count else np.zeros(0, np.bool_)
    own = replace(run, users=users, probabilities=run.probabilities[here])
    asked = _contacted(events, treatments, begin=to_microseconds(run.cutoff), end=to_microseconds(horizon.end))
    return Followed(own, gone.astype(np.float64), np.isin(users.astype(str), asked))


def _contacted(events: UserEvents, treatments: Collection[str], *, begin: int, end: int) -> NDArray[np.str_]:
    kinds = np.array([kind in treatments for kind in events.kind_names], dtype=np.bool_)
    chosen = kinds[events.kinds] & (events.times >= begin) & (events.times < end)
    owners = np.repeat(np.arange(len(events)), np.diff(events.offsets))[chosen]
    return np.array([events.user_ids[owner] for owner in np.unique(owners)], dtype=str)


def _joined(run: Recorded, pieces: Sequence[Followed]) -> Followed:
    users = np.concatenate([piece.run.users for piece in pieces])
    probabilities = np.concatenate([piece.run.probabilities for piece in pieces])
    return Followed(
        replace(run, users=users, probabilities=probabilities),
        np.concatenate([piece.labels for piece in pieces]),
        np.concatenate([piece.contacted for piece in pieces]),
    )


def _only(followed: Followed, chosen: NDArray[np.bool_]) -> Followed:
    run = followed.run
    own = replace(run, users=run.users[chosen], probabilities=run.probabilities[chosen])
    return Followed(own, followed.labels[chosen], followed.contacted[chosen])


def _group(followed: Sequence[Followed], *, seed: int) -> Group:
    labels = np.concatenate([each.labels for each in followed])
    users = np.concatenate([each.run.users for each in followed])
    probabilities = np.concatenate([each.run.probabilities for each in followed])
    if not len(labels):
        nobody = Estimate(np.nan, np.nan, np.nan, "nobody")
        return Group(0, 0.0, nobody, nobody, nobody)
    found = evaluate(labels, probabilities, users=users, seed=seed)
    return Group(len(labels), float(labels.mean()), *(found[name] for name in METRICS))


def _enough(group: Group) -> bool:
    churners = group.rows * group.churned_share
    return group.rows >= FEWEST_ROWS and min(churners, group.rows - churners) >= FEWEST_OUTCOMES


def _discrimination(group: Group, promised: Mapping[str, float], *, figures: Figures) -> Finding:
    shown, z = _against(group.auc, promised, metric="auc")
    lost = 0.0 if shown is None else shown - group.auc.value
    worse = lost > WORSE_AUC and -z > beyond(_TESTS)
    far = worse and lost > FAR_WORSE_AUC
    return Finding(
        "quality",
        Gravity.ALARM if far else Gravity.WARNING if worse else Gravity.OK,
        f"of {group.rows:,} scores of version {figures['model_version']} whose outcome is known (runs: "
        f"{figures['runs']}) AUC is {group.auc.says()}{_shown(shown, z)}",
        "see which features moved and train again" if worse else "",
        figures | {"promised_auc": shown, "z": z},
        retrain=worse,
    )


def _loss(group: Group, promised: Mapping[str, float]) -> Finding:
    shown, z = _against(group.log_loss, promised, metric="log_loss")
    worse = shown is not None and group.log_loss.value > (1 + WORSE_LOSS) * shown and z > beyond(_TESTS)
    return Finding(
        "log_loss",
        Gravity.WARNING if worse else Gravity.OK,
        f"log loss on known outcomes is {group.log_loss.says()}{_shown(shown, z)}",
        "the level or the order of the scores has become worse; see the other findings" if worse else "",
        {"promised_log_loss": shown, "z": z},
        retrain=worse,
    )


def _level(group: Group, *, contacted: int, apart: bool) -> Finding:
    found = group.predicted_over_observed
    off = [
        not low <= found.value <= high and (found.low > 1 or found.high < 1) and not found.missing_because
        for low, high in LEVELS
    ]
    who = "" if not contacted else " of those who were not contacted" if apart else " (contacted users among them)"
    return Finding(
        "level",
        Gravity.ALARM if off[1] else Gravity.WARNING if off[0] else Gravity.OK,
        f"predicted over observed churners{who} is {found.says(digits=2)}",
        "probabilities are off by that factor: their order may still be good; train again" if off[0] else "",
        {"contacted": contacted, "judged_rows": group.rows},
        retrain=off[0],
    )


def _against(found: Estimate, promised: Mapping[str, float], *, metric: str) -> tuple[float | None, float]:
    """What was shown at training, and how many standard errors the new figure lies above it."""
    shown = promised.get(metric)
    if shown is None or found.missing_because:
        return None, 0.0
    widths = (found.high - found.low, promised.get(f"{metric}_high", shown) - promised.get(f"{metric}_low", shown))
    error = sum((width / _WIDTH) ** 2 for width in widths) ** 0.5
    return shown, (found.value - shown) / error if error else 0.0


def _shown(shown: float | None, z: float) -> str:
    if shown is None:
        return ""
    more = "more than noise" if abs(z) > beyond(_TESTS) else "within noise"
    return f", {shown:.3f} was shown at training (the difference is {more})"


def _moved(newest: CutoffFacts, before: Sequence[CutoffFacts], *, trained_on: float | None) -> Finding:
    shares = np.array([each.churned_share for each in before])
    usual = float(shares.mean())
    among = float(shares.var(ddof=1)) if len(shares) > 1 else 0.0
    error = (usual * (1 - usual) / newest.users + among * (1 + 1 / len(shares))) ** 0.5
    moved = newest.churned_share - usual
    sure = abs(moved) > max(LEAST_MOVE, RATE_ERRORS * error)
    off, jump = (sure and abs(moved) > share * usual for share in (MOVED_RATE, RATE_JUMP))
    known = "" if trained_on is None else f", {trained_on:.1%} at training"
    return Finding(
        "base_rate",
        Gravity.ALARM if jump else Gravity.WARNING if off else Gravity.OK,
        f"{newest.churned_share:.1%} of {newest.users:,} users churned after {iso(newest.cutoff)[:10]}; at "
        f"{len(before)} cutoffs before {usual:.1%}{known}",
        "find out what changed; probabilities learnt before are off by as much" if off else "",
        {"newest": newest.churned_share, "before": usual, "error": error, "trained_on": trained_on},
        retrain=off,
    )


def next_known(definition: ChurnDefinition, runs: Sequence[Recorded]) -> datetime | None:
    """When the first recorded run's horizon will be over; none where none is recorded."""
    ends = [definition.horizon_of(run.cutoff).end for run in runs if run.definition_id == definition.id]
    return min(ends, default=None)
