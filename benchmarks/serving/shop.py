"""A shop whose model scores are computed with: a world's log is ingested, learnt from and scored, as users do it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

import holdfast
from benchmarks.gate.rollback import write_events
from benchmarks.serving import hand_made
from benchmarks.simulate.world import DEFINITION, START, Log, World, live
from features.windows import days, from_microseconds, iso, to_microseconds
from serving.store import ScoreStore

WORLD = World("shop", users=4000)
EVENTS = 500  # of a user who is scored in a request
TRAINING = {"max_cutoffs": 12, "replicates": 50}  # the model is of the usual size, its evidence may be thin
_A_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Shop:
    """A data folder with a champion and scores."""

    folder: Path

    @property
    def store_url(self) -> str:
        """Of the score store."""
        return f"sqlite:///{self.folder / 'store.db'}"

    @property
    def hand_made(self) -> Path:
        """The model of the endpoint made by hand."""
        return self.folder / "hand_made.joblib"

    @property
    def cutoff(self) -> datetime:
        """As of when requests ask: when the log ends."""
        return START + days(int(json.loads((self.folder / "shop.json").read_text())["length"]))

    def project(self, **training: int) -> "holdfast.Project":
        """The folder in Python, with settings of a training."""
        return holdfast.Project(self.folder, churn=DEFINITION, train=training)

    def key(self, *, now: datetime) -> str:
        """A new key that may compute, look up and list."""
        store = ScoreStore.open(self.store_url)
        try:
            scopes = ["scores:read", "scores:compute", "lists:read"]
            return store.create_key(f"benchmark {iso(now)}", scopes, now=now).token
        finally:
            store.close()


def shop_in(folder: Path, *, world: World = WORLD, training: Mapping[str, int] = TRAINING) -> Shop:
    """The shop of a folder, made where it is not there yet: a minute or two."""
    shop = Shop(folder)
    if (folder / "shop.json").exists():
        return shop
    folder.mkdir(parents=True, exist_ok=True)
    write_events(Log.of(live(world, seed=1)).events, folder / "events.parquet")
    project = shop.project(**training)
    project.ingest(str(folder / "events.parquet"))
    project.train(promote=True)
    project.score()
    known = pd.Timestamp(START + days(world.length - hand_made.SILENT_DAYS))
    hand_made.train(pd.read_parquet(folder / "events.parquet"), known, to=shop.hand_made)
    (folder / "shop.json").write_text(json.dumps({"length": world.length}))  # last: now it is whole
    return shop


@dataclass(frozen=True, slots=True)
class Customer:
    """A user of a request: so many events in the year before the cutoff."""

    user_id: str
    events: list[dict[str, object]]

    @classmethod
    def made_up(cls, number: int, *, cutoff: datetime, events: int) -> "Customer":
        """The user of this number; always the same."""
        dice = np.random.default_rng(number)
        ages = np.sort(dice.integers(60, 365 * 86_400, events))[::-1]
        return cls(f"customer-{number}", [_event(int(age), dice, cutoff=cutoff) for age in ages])

    def to_json(self) -> dict[str, object]:
        """As a request has them."""
        return {"user_id": self.user_id, "events": self.events}


def _event(age_seconds: int, dice: np.random.Generator, *, cutoff: datetime) -> dict[str, object]:
    time = iso(from_microseconds(to_microseconds(cutoff) - age_seconds * _A_SECOND))
    if dice.random() < 0.4:
        return {"time": time, "event": "purchase", "value": round(float(dice.lognormal(3, 0.7)), 2)}
    return {"time": time, "event": "visit"}
