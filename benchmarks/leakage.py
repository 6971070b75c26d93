"""Planted leaks, each of which must be caught, and clean logs, on which all checks must be silent.

    python -m benchmarks.leakage [--seeds 20]

The logs are generated: users come at a pace of their own, slow down before they stop for good, and know nothing of a
cutoff. A leak is planted in the log, so that the product's own training meets it: ingest, the standard features and a
few of one's own, splits by time, recipe, trial, verdict. The tests plant the same leaks.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from features.catalog import standard
from features.events import EVENT_SCHEMA
from features.feature_set import FeatureSet
from features.language import events, feature_set, profile
from features.log import EventLog
from features.windows import MICROSECONDS_PER_DAY, days, to_microseconds, utc
from models.definition import ChurnDefinition
from training import leakage
from training.evidence import plan_for, read_rows
from training.fit import TrainSettings
from training.run import Training, train

START, LENGTH = utc("2026-01-01"), 210  # days
NOW = utc("2026-12-01")
DEFINITION = ChurnDefinition(activity=("purchase", "visit"), look_back=days(28), horizon=days(14))
SETTINGS = TrainSettings(step_days=7, replicates=100, workers=2, threads=2)
_GONE = 14  # days without anything at the end of the log: who is called a leaver
_LAST_DAYS = 14  # before the last event, in which a leak of values shows


@dataclass(frozen=True, slots=True)
class Deed:
    """An event on its way into a generated log."""

    user: str
    day: float  # since START
    kind: str
    value: float | None = None
    properties: tuple[tuple[str, str], ...] = ()


Deeds = list[Deed]
Plant = Callable[[Deeds], Deeds]


def clean(*, users: int = 800, seed: int = 0) -> Deeds:
    """Visits, purchases and complaints of users who come at their own pace, and of whom some leave for good."""
    draws = np.random.default_rng(seed)
    deeds: Deeds = []
    for number in range(users):
        pace, alive = draws.gamma(2.0, 1.5), draws.exponential(LENGTH)
        begin = draws.uniform(0, LENGTH / 2)
        day = begin
        while day < min(LENGTH, begin + alive):
            kind = str(draws.choice(["visit", "purchase", "complaint"], p=[0.7, 0.27, 0.03]))
            value = round(float(draws.gamma(3.0, 10.0)), 2) if kind == "purchase" else None
            deeds.append(Deed(f"user-{number:04d}", float(day), kind, value, (("channel", _channel(draws)),)))
            tired = 2.5 if begin + alive - day < _LAST_DAYS else 1.0
            day += draws.exponential(pace * tired) + 0.01
    return deeds


def cancelled(deeds: Deeds) -> Deeds:
    """Who leaves cancels an hour after the last event."""
    return [*deeds, *(Deed(user, day + 1 / 24, "cancel") for user, day in _leavers(deeds).items())]


def marked_later(deeds: Deeds) -> Deeds:
    """A nightly job that marks the silent as inactive dates the mark back to their last event."""
    return [*deeds, *(Deed(user, day + 0.001, "marked_inactive") for user, day in _leavers(deeds).items())]


def amounts_dated_back(deeds: Deeds) -> Deeds:
    """The values of the last fortnight are overwritten when somebody has left."""
    return [replace(deed, value=-1.0) if late else deed for deed, late in _with_ends(deeds)]


def told_by_a_property(deeds: Deeds) -> Deeds:
    """The last fortnight's events carry a status that was filled in afterwards."""
    return [
        replace(deed, properties=(*deed.properties, ("status", "closing" if late else "open")))
        for deed, late in _with_ends(deeds)
    ]


def future_duplicated(deeds: Deeds) -> Deeds:
    """A second system sends every event again, with a clock that is a fortnight slow."""
    return [*deeds, *(Deed(deed.user, deed.day - 14, "synced") for deed in deeds if deed.day >= 14)]


def profile_overwritten(deeds: Deeds) -> Deeds:
    """The profile says how it ended, and is dated to the first day."""
    leavers, first = _leavers(deeds), {deed.user: deed.day for deed in reversed(deeds)}
    plans = ((user, day, "closed" if user in leavers else "standard") for user, day in first.items())
    return [*deeds, *(Deed(user, day, "$profile", None, (("plan", plan),)) for user, day, plan in plans)]


PLANTS: dict[str, tuple[Plant, str]] = {  # the leak, and what has to find it
    "cancelled": (cancelled, "kind_of_the_end"),
    "marked later": (marked_later, "kind_of_the_end"),
    "amounts dated back": (amounts_dated_back, "feature_too_good"),
    "told by a property": (told_by_a_property, "feature_too_good"),
    "future duplicated": (future_duplicated, "feature_too_good"),
    "profile overwritten": (profile_overwritten, "feature_too_good"),
}

OWN = feature_set(
    newest_value=events("visit", "purchase").latest().says("{:.2f} at the newest event"),
    newest_status=events("visit", "purchase").latest_text("status", ("open", "closing")),
    own_plan=profile("plan").among("standard", "closed"),
)
FEW = feature_set(
    days_since_last_event=events("visit", "purchase").days_since_last().says("last seen {:.0f} day(s) ago"),
    active_days_14d=events("visit", "purchase").active_days(last=days(14)).says("active on {:.0f} of 14 days"),
    active_days_56d=events("visit", "purchase").active_days(last=days(56)).says("active on {:.0f} of 56 days"),
    mean_gap_days=events("visit", "purchase").mean_gap().says("usually {:.1f} days apart"),
    complaints_28d=events("complaint").count(last=days(28)).says("{:.0f} complaint(s) in 28 days"),
    cancels=events("cancel").count().says("{:.0f} cancellation(s)"),
    marks=events("marked_inactive").count().says("{:.0f} mark(s) of being inactive"),
    synced_14d=events("synced").count(last=days(14)).says("{:.0f} synced event(s) in 14 days"),
)


def write(deeds: Deeds, folder: Path) -> EventLog:
    """A new log of these events, received when they happened."""
    start = to_microseconds(START)
    times = [start + int(deed.day * MICROSECONDS_PER_DAY) for deed in deeds]
    table = pa.table(
        {
            "user_id": [deed.user for deed in deeds],
            "time": pa.array(times, pa.timestamp("us", "UTC")),
            "event": [deed.kind for deed in deeds],
            "value": [deed.value for deed in deeds],
            "event_id": [f"{number}" for number in range(len(deeds))],
            "received_at": pa.array(times, pa.timestamp("us", "UTC")),
            "properties": pa.array([list(deed.properties) for deed in deeds], EVENT_SCHEMA.field("properties").type),
        },
        schema=EVENT_SCHEMA,
    )
    log = EventLog.create(folder, buckets=4)
    log.append([table], source="generated")
    return log


def learnt(deeds: Deeds, folder: Path, *, few: bool = False, settings: TrainSettings = SETTINGS) -> Training:
    """A real training on a log of these events, with the standard features and those of one's own, or `few`."""
    log = write(deeds, folder)
    features: FeatureSet = FEW if few else standard(log.summary(), activity=DEFINITION.activity)
    return train(log, DEFINITION, features + OWN, now=NOW, code_version="benchmark", settings=settings)


def main() -> None:
    """Every planted leak and every clean seed, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="clean logs")
    asked = parser.parse_args()
    print("| planted | caught by | names |\n|---|---|---|")
    for name, (plant, _) in PLANTS.items():
        training, _ = _timed(plant(clean(seed=1)))
        found = training.leaks.findings
        print(f"| {name} | {', '.join(one.code for one in found)} | {found[0].sentence if found else 'nothing'} |")
    print("\n| clean seed | AUC | findings of the checks | of the verdict | checks, share of the training's seconds |")
    print("|---|---|---|---|---|")
    alarms = 0
    for seed in range(asked.seeds):
        training, share = _timed(clean(seed=100 + seed))
        found = [one.code for one in training.leaks.findings]
        of_verdict = [one.code for one in training.verdict.findings if one.code in {"suspicious_auc", "unusual_lead"}]
        alarms += bool(found or of_verdict)
        auc = training.trial.ours["auc"].value
        said = f"{', '.join(found) or 'none'} | {', '.join(of_verdict) or 'none'}"
        print(f"| {100 + seed} | {auc:.3f} | {said} | {share:.1%} |", flush=True)
    print(f"\n{alarms} of {asked.seeds} clean logs raised an alarm.")


def _timed(deeds: Deeds) -> tuple[Training, float]:
    """The training, and the checks' share of its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        training = learnt(deeds, Path(folder) / "events")
        whole = time.perf_counter() - began
        return training, _seconds_of_checks(training, EventLog.open(Path(folder) / "events")) / whole


def _seconds_of_checks(training: Training, log: EventLog) -> float:
    """How long all checks take, those of the rows without reading these again."""
    history = log.summary()
    split = plan_for(history, DEFINITION, cutoff=None, settings=training.settings)
    rows = read_rows(log, training.features, split, settings=training.settings)
    began = time.perf_counter()
    leakage.in_log(log, DEFINITION, training.features, split=split, end=split.closes(split.test))
    leakage.in_rows(rows, training.features, split=split, end=history.end, trial=training.trial, threads=2)
    return time.perf_counter() - began


def _channel(draws: np.random.Generator) -> str:
    return str(draws.choice(["web", "app", "shop"]))


def _last(deeds: Deeds) -> dict[str, float]:
    return {deed.user: deed.day for deed in sorted(deeds, key=lambda deed: deed.day)}


def _leavers(deeds: Deeds) -> dict[str, float]:
    """The day of the last event of everybody who was gone well before the end."""
    return {user: day for user, day in _last(deeds).items() if day < LENGTH - _GONE}


def _with_ends(deeds: Deeds) -> list[tuple[Deed, bool]]:
    """Each event, and whether it lies in a leaver's last fortnight."""
    leavers = _leavers(deeds)
    return [(deed, deed.user in leavers and deed.day > leavers[deed.user] - _LAST_DAYS) for deed in deeds]


if __name__ == "__main__":
    main()
