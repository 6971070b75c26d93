"""One seed of one world: learnt from by the product's own training, and held against its truth."""

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.simulate.judge import Recovered, Thresholds, recovered, thresholds
from benchmarks.simulate.world import DEFINITION, HORIZON, START, Lives, Log, World, live
from features.catalog import standard
from features.feature_set import FeatureSet
from features.windows import days, shift
from training.fit import TrainSettings
from training.run import Training, train
from training.snapshots import labelled

SETTINGS = TrainSettings(replicates=100, workers=2, threads=2)
ALARMS = {"suspicious_auc", "unusual_lead"}  # of the verdict, beside those of the checks for leaks


@dataclass(frozen=True, slots=True)
class Found:
    """One seed of one world."""

    world: World
    seed: int
    tested: Recovered  # at the newest cutoff whose outcome is known
    deployed: Recovered  # at the end of the log
    baselines: dict[str, Recovered]  # at the former
    observed_ratio: float  # what the report says of the same rows: predicted through observed
    observed_error: float
    level: str
    decision: str
    alarms: tuple[str, ...]  # every one is false
    threshold: Thresholds
    seconds: float
    rows: int  # learnt from

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Found":
        """What `to_json` described."""
        return cls(
            **data
            | {
                "world": World(**data["world"]),
                "tested": Recovered(**data["tested"]),
                "deployed": Recovered(**data["deployed"]),
                "baselines": {name: Recovered(**each) for name, each in data["baselines"].items()},
                "alarms": tuple(data["alarms"]),
                "threshold": Thresholds(**data["threshold"]),
            }
        )


def look(world: World, *, seed: int, settings: TrainSettings = SETTINGS) -> Found:
    """A world of this seed: trained on, and held against its truth."""
    lives = live(world, seed=seed)
    log = Log.of(lives)
    end = shift(START, days(world.length))
    cutoff = shift(end, -DEFINITION.horizon)
    features = standard(log.summary(), activity=DEFINITION.activity, treatments=("mail",) if world.mails_every else ())
    began = time.perf_counter()
    found = train(
        log, DEFINITION, features, now=shift(end, days(1)), code_version="benchmark", cutoff=cutoff,
        settings=replace(settings, test_cutoffs=1),
    )  # fmt: skip
    seconds = time.perf_counter() - began
    trial, day = found.trial, world.length - HORIZON
    against = {
        name: recovered(probabilities, trial.users, lives, cutoff=day)
        for name, probabilities in trial.probabilities.items()
    }
    return Found(
        world,
        seed,
        tested=against.pop("model"),
        deployed=_deployed(found, log, features, lives),
        baselines=against,
        observed_ratio=trial.ours["predicted_over_observed"].value,
        observed_error=trial.ours["calibration_error"].value,
        level="a year ago" if found.level.part else "its own",
        decision=str(found.verdict.decision),
        alarms=_alarms(found),
        threshold=thresholds(lives, log),
        seconds=seconds,
        rows=found.steps["fit"].rows,
    )


def _deployed(found: Training, log: Log, features: FeatureSet, lives: Lives) -> Recovered:
    """What is said of everybody at the end of the log."""
    end = shift(START, days(lives.world.length))
    rows = labelled(log, features, DEFINITION, (end,), log_end=end, workers=2)
    return recovered(found.model.predict_proba(rows.frame)[:, 1], rows.users, lives, cutoff=lives.world.length)


def _alarms(found: Training) -> tuple[str, ...]:
    of_verdict = (one.code for one in found.verdict.findings if one.code in ALARMS)
    return (*(one.code for one in found.leaks.findings), *of_verdict)
