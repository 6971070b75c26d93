"""A small population and one model of it: ada is here daily, bert comes now and then, chen has gone quiet."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from features.expressions import Season
from features.language import FeatureSet, events, feature_set, season
from features.windows import days
from models.bundle import Bundle
from models.definition import ChurnDefinition
from models.model import ChurnModel

ANYTHING, PURCHASE = events(), events("purchase")
FEATURES = feature_set(
    days_since_last_event=ANYTHING.days_since_last().says("last seen {:.0f} days ago", family="recency"),
    days_since_last_purchase=PURCHASE.days_since_last().says(
        "last purchase {:.0f} days ago", missing="never bought", family="recency"
    ),
    active_days_28d=ANYTHING.active_days(last=days(28)).says("active on {:.0f} of 28 days", family="frequency"),
    purchases_28d=PURCHASE.count(last=days(28)).says("{:.0f} purchases in 28 days", family="frequency"),
    spend_28d=PURCHASE.total(last=days(28)).says("spent {:.0f} in 28 days", family="money"),
    season_sine=season(Season.SINE).says("time of the year ({:.2f})", family="calendar"),
)
CAST = pd.DataFrame(
    {
        "days_since_last_event": [0.0, 9.0, 55.0],
        "days_since_last_purchase": [2.0, np.nan, 58.0],
        "active_days_28d": [26.0, 5.0, 0.0],
        "purchases_28d": [8.0, 0.0, 0.0],
        "spend_28d": [210.0, 0.0, 0.0],
        "season_sine": [0.5, 0.5, 0.5],
    },
    index=["ada", "bert", "chen"],
)


@dataclass(frozen=True)
class Population:
    rows: pd.DataFrame
    churned: NDArray[np.int64]

    def part(self, chosen: slice) -> "Population":
        return Population(self.rows.iloc[chosen], self.churned[chosen])


def population(users: int, *, seed: int = 0) -> Population:
    """Users whose churn follows their silence, with some values missing."""
    random = np.random.default_rng(seed)
    silence = random.gamma(1.2, 12.0, users)
    visits = random.poisson(28 * np.exp(-silence / 15)).clip(0, 28).astype(float)
    bought = random.binomial(visits.astype(int), 0.3).astype(float)
    rows = pd.DataFrame(
        {
            "days_since_last_event": silence,
            "days_since_last_purchase": np.where(random.random(users) < 0.2, np.nan, silence * 1.3),
            "active_days_28d": visits,
            "purchases_28d": bought,
            "spend_28d": bought * random.lognormal(3, 0.5, users),
            "season_sine": random.choice([-0.5, 0.5], users),
        }
    )
    odds = 0.1 * silence - 0.1 * visits - 0.3 * (bought > 2) - 0.5
    return Population(rows, (random.random(users) < 1 / (1 + np.exp(-odds))).astype(np.int64))


@pytest.fixture(scope="session")
def people() -> Population:
    return population(1500)


@pytest.fixture(scope="session")
def model(people: Population) -> ChurnModel:
    known, later = people.part(slice(1000)), people.part(slice(1000, None))
    fitted = ChurnModel(n_estimators=30, booster_only=("season_sine",)).fit(known.rows, known.churned)
    return fitted.calibrate(later.rows, later.churned, kind="platt")


@pytest.fixture(scope="session")
def features() -> FeatureSet:
    return FEATURES


@pytest.fixture(scope="session")
def cast() -> pd.DataFrame:
    return CAST


@pytest.fixture(scope="session")
def bundle(model: ChurnModel) -> Bundle:
    facts = {"trained_at": "2026-06-01T00:00:00Z", "quality": {"auc": 0.81}}
    return Bundle.of(model=model, features=FEATURES, definition=ChurnDefinition(), facts=facts)
