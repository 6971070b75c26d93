import json
from dataclasses import dataclass

import pytest

from features import populations
from features.errors import BadInput
from features.language import events, feature_set
from features.paid import Paid, Renewals
from features.population import Population
from features.spark_work import Work
from features.subscribed import Subscribed
from features.windows import days, utc

OF_EVERY_KIND = [
    Population((), days(60)),
    Population(("purchase",), days(60), most_a_day=1000, least_value=2.5),
    Subscribed(("visit",), days(28), cancels=("cancel",), starts=("subscribe",)),
    Paid((), days(28), renewals=Renewals(("renewal",), period_days=30, grace=days(7))),
    Paid((), days(28), renewals=Renewals(("renewal",), paid_until="expires")),
]


@pytest.mark.parametrize("population", OF_EVERY_KIND)
def test_a_population_of_every_kind_travels_as_text(population: Population) -> None:
    text = json.dumps(populations.to_json(population))
    assert populations.from_json(json.loads(text)) == population


@pytest.mark.parametrize("population", OF_EVERY_KIND)
def test_a_task_on_spark_is_told_of_the_same_population(population: Population) -> None:
    features = feature_set(events_28d=events().count(last=days(28)))
    work = Work((("a.parquet",),), features, (utc("2026-03-01"),), population, as_known=True)
    assert Work.from_text(work.to_text()) == work


def test_every_kind_is_tried_here() -> None:
    assert {type(population) for population in OF_EVERY_KIND} == set(populations.KINDS.values())


def test_a_folder_that_was_built_before_is_still_of_the_same_population() -> None:
    assert populations.plain(Population((), days(1))) == {
        "activity": [],
        "look_back": 86_400_000_000,
        "most_a_day": 0,
    }


def test_a_population_of_ones_own_is_refused_and_not_taken_for_another() -> None:
    @dataclass(frozen=True, slots=True)
    class Everybody(Population):
        pass

    with pytest.raises(BadInput, match="Everybody is no known kind of population"):
        populations.to_json(Everybody((), days(1)))
