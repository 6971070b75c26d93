"""How often does the watch cry wolf, and does it see what it should? Shops whose truth is known, some of them broken.

    python -m benchmarks.watch --seeds 20

Each seed is a shop in which nothing changes: every user comes at a pace of his own, the same all the time, more at
weekends. So the chance that he stays away for a fortnight is known, and a finding beyond "ok" is a false alarm. The
same shops with a fault planted in the newest days say which faults are found.
"""

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import pages
from features import catalog
from features.summary import LogSummary, summarise
from features.user_events import NOTHING_MORE, FloatArray, UserEvents, Wanted
from features.windows import MICROSECONDS_PER_DAY, days, shift, to_microseconds, utc
from models.bundle import Bundle
from models.definition import ChurnDefinition
from training import drift, estimated, matured, pulse
from training.fit import TrainSettings
from training.matured import Recorded
from training.run import train
from training.watch import Finding, Gravity

RESULTS = Path(__file__).parent / "results" / "watch.md"
START, LENGTH, USERS = utc("2026-01-01"), 190, 2000
END = shift(START, days(LENGTH))
KINDS = ("purchase", "visit")
DEFINITION = ChurnDefinition(look_back=days(28), horizon=days(14))
CUTOFF = shift(END, -DEFINITION.horizon)  # of the run whose outcomes are known
TRAINED_UNTIL = shift(END, -days(42))
TRAINING = TrainSettings(trees=60, boosters=1, step_days=7, max_cutoffs=6, test_cutoffs=1, replicates=50)
WEEKEND = np.array([0.8, 0.8, 0.8, 0.8, 0.8, 1.5, 1.5])  # of the usual pace, by day of the shop's weeks
PURCHASES = 0.4  # of all events
GONE = 0.35  # of the users, in a base rate that jumps


@dataclass(frozen=True, slots=True, eq=False)
class Shop:
    """A log of one bucket, and the chance of each user to stay away for a horizon."""

    events: UserEvents
    chances: FloatArray
    at: datetime = END
    buckets: int = 1
    version: int = 1

    def read_bucket(self, bucket: int, wanted: Wanted = NOTHING_MORE) -> UserEvents:  # noqa: ARG002 - as the log has it
        """All events, as received when they happened."""
        return replace(self.events, received=self.events.times) if wanted.received else self.events

    def summary(self) -> LogSummary:
        """What is in it."""
        found = summarise([self.events])
        if found is None:
            raise ValueError("the shop is empty; expected at least one event.")
        return found


def shop(seed: int) -> Shop:
    """A shop of this seed in which nothing changes."""
    dice = np.random.default_rng(seed)
    paces = dice.gamma(1.5, 0.1, USERS)  # events a day
    counts = dice.poisson(paces[:, None] * WEEKEND[np.arange(LENGTH) % len(WEEKEND)])
    users, day = np.nonzero(counts)
    repeated = counts[users, day]
    users, day = np.repeat(users, repeated), np.repeat(day, repeated)
    times = to_microseconds(START) + ((day + dice.random(len(day))) * MICROSECONDS_PER_DAY).astype(np.int64)
    order = np.lexsort((times, users))
    kinds = (dice.random(len(day)) >= PURCHASES).astype(np.int32)
    events = UserEvents(
        user_ids=tuple(f"user-{user:05d}" for user in range(USERS)),
        offsets=np.concatenate([[0], np.cumsum(np.bincount(users, minlength=USERS))]).astype(np.int64),
        times=times[order],
        kinds=kinds,
        kind_names=KINDS,
        values=np.where(kinds == 0, dice.lognormal(3, 0.7, len(day)), np.nan),
    )
    stays_away = np.exp(-paces * WEEKEND.mean() * (DEFINITION.horizon / days(1)))
    return Shop(events, stays_away)


def learnt() -> Bundle:
    """One model with the standard features, for the shops are all of the same law."""
    other = shop(10_000)
    features = catalog.standard(other.summary())
    newest = shift(TRAINED_UNTIL, -DEFINITION.horizon)
    found = train(other, DEFINITION, features, now=END, code_version="benchmark", cutoff=newest, settings=TRAINING)
    return found.bundle


def look(here: Shop, bundle: Bundle | None = None) -> list[Finding]:
    """All that the watch finds, drift only with a model; the scores that were recorded are the true chances."""
    end = here.summary().end
    seen = pulse.pulse(here, start=START, last=end, at=here.at)
    found = pulse.look(seen, at=here.at, used=KINDS)
    active = DEFINITION.population.eligible(here.events, cutoff=CUTOFF)
    users, chances = np.array(here.events.user_ids, dtype=object)[active], here.chances[active]
    estimate = estimated.estimate(chances, seed=0)
    promised = _promised(estimate)
    run = Recorded(1, "1", DEFINITION.id, CUTOFF, users, chances, promised)
    followed = matured.follow_up(here, DEFINITION, [run], log_end=END)
    found.extend(matured.quality(followed, seed=0, next_known=None))
    found.extend(matured.base_rate(here, DEFINITION, start=START, log_end=END, trained_on=None))
    found.extend(estimated.findings(estimate, promised))
    if bundle is not None:
        found.extend(drift.findings(drift.drift(here, bundle, start=START, now=min(end, here.at), seed=0)))
    return found


def kind_stops(here: Shop) -> Shop:
    """No purchase is recorded in the last six days."""
    return _without(here, (here.events.kinds == 0) & (here.events.times >= _back(6)))


def tracking_gap(here: Shop) -> Shop:
    """Nothing is recorded for 24 hours, two days before the end."""
    return _without(here, (here.events.times >= _back(3)) & (here.events.times < _back(2)))


def inflation(here: Shop) -> Shop:
    """Values of the last week are in a currency worth a seventh."""
    dear = here.events.values * np.where(here.events.times >= _back(7), 7.0, 1.0)
    return replace(here, events=replace(here.events, values=dear))


def stale(here: Shop) -> Shop:
    """The delivery stopped nine days ago."""
    return replace(here, at=shift(END, days(9)))


def base_rate_jump(here: Shop) -> Shop:
    """A third of the users stay away from the cutoff on, whoever they are."""
    gone = np.random.default_rng(1).random(USERS) < GONE
    owners = np.repeat(gone, np.diff(here.events.offsets))
    return _without(here, owners & (here.events.times >= to_microseconds(CUTOFF)))


def wrong_scores(here: Shop) -> Shop:
    """Scores are given to the wrong users."""
    return replace(here, chances=np.random.default_rng(2).permutation(here.chances))


FAULTS: dict[Callable[[Shop], Shop], set[str]] = {
    kind_stops: {"kind_stopped"},
    tracking_gap: {"gap"},
    inflation: {"values"},
    stale: {"stale"},
    base_rate_jump: {"base_rate", "level"},
    wrong_scores: {"quality"},
}


def report(seeds: int) -> str:
    """The figures as a page."""
    bundle = learnt()
    shops = [shop(seed) for seed in range(seeds)]
    stable = [_told(here, bundle) for here in shops]
    raised = Counter(code for told in stable for code in told)
    lines = [
        "# How often the watch cries wolf",
        "",
        f"`python -m benchmarks.watch --seeds {seeds}`: {seeds} shops of {USERS:,} users over {LENGTH} days in which "
        "nothing changes, and one",
        "look at each: freshness, volume, kinds, values, known outcomes, base rate, estimate, drift of the scores and "
        f"{len(bundle.features)}",
        "features. Whatever is not ok is false. Real shops are not so even: holidays and campaigns are told too.",
        "",
        "| on a stable shop | looks with it | of |",
        "|---|---:|---:|",
        *(f"| {code} ({gravity.word}) | {count} | {seeds} |" for (code, gravity), count in sorted(raised.items())),
        f"| anything that is not ok | {sum(bool(told) for told in stable)} | {seeds} |",
        f"| an alarm | {sum(any(gravity is Gravity.ALARM for _, gravity in told) for told in stable)} | {seeds} |",
        "",
        "| planted | found | of |",
        "|---|---:|---:|",
    ]
    for spoil, codes in FAULTS.items():
        found = sum(codes <= {code for code, _ in _told(spoil(here))} for here in shops)
        lines.append(f"| {spoil.__name__.replace('_', ' ')}: {(spoil.__doc__ or '').strip()} | {found} | {seeds} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--to", type=Path, default=RESULTS)
    options = parser.parse_args()
    page = report(options.seeds)
    pages.write(page, options.to)
    print(page)


def _promised(found: estimated.Estimated) -> dict[str, float]:
    figures = {"auc": found.auc, "log_loss": found.log_loss}
    ends = {f"{name}_{end}": getattr(each, end) for name, each in figures.items() for end in ("low", "high")}
    return ends | {name: each.value for name, each in figures.items()}


def _told(here: Shop, bundle: Bundle | None = None) -> set[tuple[str, Gravity]]:
    return {(each.code, each.gravity) for each in look(here, bundle) if each.gravity is not Gravity.OK}


def _back(count: int) -> int:
    """So many days before the end, in microseconds since 1970 UTC."""
    return to_microseconds(shift(END, -days(count)))


def _without(here: Shop, lost: NDArray[np.bool_]) -> Shop:
    events, kept = here.events, ~lost
    owners = np.repeat(np.arange(USERS), np.diff(events.offsets))[kept]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=USERS))]).astype(np.int64)
    left = replace(
        events, offsets=offsets, times=events.times[kept], kinds=events.kinds[kept], values=events.values[kept]
    )
    return replace(here, events=left)


if __name__ == "__main__":
    main()
