"""The endpoint that people write by hand: FastAPI, pandas for the features, a LightGBM model that joblib has kept.

python -m benchmarks.serving.hand_made --port 8000 --model model.joblib

It is written to be fair: the features are vectorised, the model has one thread (more would wait for one another), and
it is served by the same server as ours, with the same settings.
"""

import argparse
from datetime import datetime
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from fastapi import FastAPI
from granian.constants import HTTPModes, Interfaces
from granian.server import Server
from lightgbm import LGBMClassifier
from pydantic import BaseModel

WINDOWS = (7, 28, 90)
KINDS = ("purchase", "visit")
SILENT_DAYS = 28  # the horizon that its labels look at


class Event(BaseModel):
    """One event of the request."""

    time: datetime
    event: str
    value: float | None = None


class Asked(BaseModel):
    """A user to be scored."""

    user_id: str
    cutoff: datetime
    events: list[Event]


def features_of(events: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
    """Some thirty features a user: what a first notebook has, from events with user_id, time, event and value."""
    events = events[events["time"] < cutoff].sort_values(["user_id", "time"])
    events = events.assign(age=(cutoff - events["time"]).dt.total_seconds() / 86_400, day=events["time"].dt.floor("D"))
    users = events.groupby("user_id")
    found = pd.DataFrame({"recency": users["age"].min(), "tenure": users["age"].max(), "count": users.size()})
    gaps = users["time"].diff().dt.total_seconds() / 86_400
    by_user = gaps.groupby(events["user_id"])
    found["gap_mean"], found["gap_std"], found["gap_max"] = by_user.mean(), by_user.std(), by_user.max()
    rolled = gaps.groupby(events["user_id"]).rolling(5).mean()
    found["gap_newest"] = rolled.groupby(level=0).last()
    for days in WINDOWS:
        window = events[events["age"] <= days].groupby("user_id")
        found[f"count_{days}"], found[f"days_{days}"] = window.size(), window["day"].nunique()
        found[f"spend_{days}"], found[f"spend_mean_{days}"] = window["value"].sum(), window["value"].mean()
        for kind in KINDS:
            chosen = events[(events["age"] <= days) & (events["event"] == kind)]
            found[f"{kind}_{days}"] = chosen.groupby("user_id").size()
    daily = events.groupby(["user_id", "day"]).size()
    weekly = daily.groupby(level=0).rolling(7, min_periods=1).mean()
    found["daily_newest"], found["daily_best"] = weekly.groupby(level=0).last(), weekly.groupby(level=0).max()
    found["weekend"] = (events["time"].dt.day_of_week >= 5).groupby(events["user_id"]).mean()
    return found


def train(events: pd.DataFrame, cutoff: pd.Timestamp, *, to: Path) -> None:
    """Learn on one cutoff who was silent after it, and keep the model by joblib."""
    rows = features_of(events, cutoff)
    later = events[(events["time"] >= cutoff) & (events["time"] < cutoff + pd.Timedelta(days=SILENT_DAYS))]
    silent = ~rows.index.isin(later["user_id"].unique())
    model = LGBMClassifier(n_estimators=300, learning_rate=0.05, n_jobs=1, verbosity=-1).fit(rows, silent)
    joblib.dump(model, to)


def endpoint(model: Any) -> FastAPI:  # Any: what joblib loads
    """The application."""
    app = FastAPI()

    def score(asked: Asked) -> dict[str, float | str]:
        events = pd.DataFrame([event.model_dump() for event in asked.events]).assign(user_id=asked.user_id)
        row = features_of(events, pd.Timestamp(asked.cutoff)).reindex(columns=model.feature_name_)
        return {"user_id": asked.user_id, "churn_probability": float(model.predict_proba(row)[0, 1])}

    def alive() -> dict[str, str]:
        return {"status": "ok"}

    app.post("/score")(score)
    app.get("/livez")(alive)
    return app


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True)
    asked = parser.parse_args()

    def loaded() -> FastAPI:
        return endpoint(joblib.load(asked.model))

    Server(
        f"{__file__}:endpoint", port=asked.port, interface=Interfaces.ASGI, http=HTTPModes.http1, websockets=False
    ).serve(target_loader=loaded, wrap_loader=False)


if __name__ == "__main__":
    main()
