"""Challengers whose worth is known: the same again, better ones, and ones with a fault; and what the gate says of each.

The logs are worlds of `benchmarks.simulate`, which played no part when the margins of the gate were chosen.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from sklearn.base import clone

from benchmarks.simulate.world import DEFINITION, START, Log, World, live
from features.feature_set import FeatureSet
from features.language import events, feature_set
from features.windows import days, shift
from models.bundle import Bundle
from models.calibration import Platt
from models.model import ChurnModel
from training.contest import Contender
from training.evidence import read_rows
from training.fit import TrainSettings, taught
from training.gate import Rules, Verdict, hold_gate
from training.run import Training, train

SHOP = World("shop")
SETTINGS = TrainSettings(step_days=7, max_cutoffs=20, test_cutoffs=1, replicates=100, workers=2, threads=2)
EARLIER = days(84)  # so long before the end of the log the old champion was trained: the gate's windows are new to it
VISITS, BOUGHT = events("purchase", "visit"), events("purchase")
RICH = feature_set(
    days_since_last_visit=VISITS.days_since_last().says("last seen {:.0f} day(s) ago"),
    days_since_first_visit=VISITS.days_since_first().says("here for {:.0f} day(s)"),
    visits_7d=VISITS.count(last=days(7)),
    visits_28d=VISITS.count(last=days(28)),
    visits_91d=VISITS.count(last=days(91)),
    active_days_28d=VISITS.active_days(last=days(28)),
    active_days_91d=VISITS.active_days(last=days(91)),
    mean_gap_days=VISITS.mean_gap(),
    longest_gap_days=VISITS.longest_gap(),
    spend_28d=BOUGHT.total(last=days(28)),
    spend_91d=BOUGHT.total(last=days(91)),
)
MONEY = feature_set(spend_28d=BOUGHT.total(last=days(28)), spend_91d=BOUGHT.total(last=days(91)))


@dataclass(frozen=True, slots=True)
class Held:
    """What the gate said."""

    passed: bool
    failed: tuple[str, ...]
    shown: tuple[str, str]  # how champion and challenger were asked
    seconds: float
    sentences: tuple[str, ...]  # of the failed checks

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Held":  # Any: JSON
        """What `asdict` gave, once it has been JSON."""
        champion, challenger = told["shown"]
        return cls(
            told["passed"], tuple(told["failed"]), (champion, challenger), told["seconds"], tuple(told["sentences"])
        )


@dataclass(frozen=True, slots=True, eq=False)
class Shop:
    """A log and what has been trained on it so far."""

    log: Log
    end: datetime
    seed: int
    settings: TrainSettings

    @classmethod
    def of(cls, world: World, *, seed: int, settings: TrainSettings = SETTINGS) -> "Shop":
        """A world of this seed."""
        return cls(Log.of(live(world, seed=seed)), shift(START, days(world.length)), seed, settings)

    def trained(self, features: FeatureSet = RICH, *, earlier: bool = False, **changed: object) -> Training:
        """A training on what was known at the end of the log, or a while before."""
        newest = shift(self.end, -DEFINITION.horizon)
        definition = replace(DEFINITION, horizon=days(14)) if changed.pop("shorter", False) else DEFINITION
        return train(
            self.log, definition, features, now=shift(self.end, days(1)), code_version="benchmark",
            cutoff=shift(newest, -EARLIER) if earlier else newest, settings=replace(self.settings, **changed),  # type: ignore[arg-type] # settings by name
        )  # fmt: skip

    def held(self, champion: Bundle, challenger: Bundle, *, rules: Rules | None = None) -> Held:
        """The gate's verdict; whether the training itself advised against a model is not asked here."""
        began = time.perf_counter()
        verdict = hold_gate(
            self.log,
            Contender("1", champion),
            Contender("2", replace(challenger, facts={**challenger.facts, "decision": "deploy"})),
            summary=self.log.summary(),
            now=shift(self.end, days(1)),
            clock=time.perf_counter,
            rules=rules or Rules(),
            workers=2,
        )
        return _held(verdict, time.perf_counter() - began)


def the_same_with_another_seed(shop: Shop, champion: Training) -> Bundle:
    """The same training again, with another seed."""
    del champion
    return shop.trained(seed=shop.seed + 1).bundle


def more_features(shop: Shop, champion: Training) -> Bundle:
    """The champion knows the money alone, the challenger the visits too."""
    del champion
    return shop.trained().bundle


def money_alone(shop: Shop, champion: Training) -> Bundle:
    """All features but those of money were lost."""
    del champion
    return shop.trained(MONEY).bundle


def learnt_by_heart(shop: Shop, champion: Training) -> Bundle:
    """Boosting alone, of 600 trees with 255 leaves and no restraint."""
    del champion
    return shop.trained(
        trees=600, leaves=255, rows_per_leaf=1, l2=0.0, learning_rate=0.2, blends=(1.0,), calibration="identity"
    ).bundle


def wrong_labels(shop: Shop, champion: Training) -> Bundle:
    """The deployed model learnt from labels that were joined to the wrong users."""
    rows = read_rows(shop.log, champion.features, champion.split, settings=shop.settings)
    rows = rows.at(champion.split.deployed_fit)
    wrong = np.random.default_rng(shop.seed).permutation(len(rows))
    halfway = None if rows.halfway is None else rows.halfway[wrong]
    model = taught(clone(champion.model), replace(rows, labels=rows.labels[wrong], halfway=halfway))
    model.blend_ = replace(model.blend_, calibrator=champion.model.blend_.calibrator)
    return champion.bundle.with_model(model)


def odds_doubled(shop: Shop, champion: Training) -> Bundle:
    """The order is the same, but the odds are twice what they should be."""
    del shop
    return champion.bundle.with_model(_with(champion.model, calibrator=Platt(1.0, float(np.log(2)))))


def another_meaning(shop: Shop, champion: Training) -> Bundle:
    """A feature keeps its name and is computed otherwise: the days since the first visit instead of the last."""
    del shop
    swapped = tuple(
        replace(each, expression=VISITS.days_since_first()) if each.name == "days_since_last_visit" else each
        for each in champion.features
    )
    features = replace(champion.features, features=swapped)
    facts = {**champion.bundle.facts, "feature_fingerprint": features.fingerprint}
    return replace(champion.bundle, features=features, facts=facts)


def silently_other_features(shop: Shop, champion: Training) -> Bundle:
    """The same, and the fingerprint is that of the features that were learnt from."""
    found = another_meaning(shop, champion)
    return replace(found, facts=champion.bundle.facts)


def slow(shop: Shop, champion: Training) -> Bundle:
    """The same answers from a hundred times as many trees."""
    del shop
    texts = champion.model.blend_.booster_texts * 100
    return champion.bundle.with_model(_with(champion.model, booster_texts=texts))


def another_question(shop: Shop, champion: Training) -> Bundle:
    """Churn is silence for 14 days instead of 28."""
    del champion
    return shop.trained(shorter=True).bundle


def nothing_to_read(shop: Shop, champion: Training) -> Bundle:
    """Its features read a kind of event that the log has not."""
    del shop
    features = feature_set(**{name: events("return").count() for name in champion.features.names})
    facts = {**champion.bundle.facts, "feature_fingerprint": features.fingerprint}
    return replace(champion.bundle, features=features, facts=facts)


Plant = Callable[[Shop, Training], Bundle]
FAULTS: tuple[Plant, ...] = (
    money_alone, learnt_by_heart, wrong_labels, odds_doubled, another_meaning, silently_other_features, slow,
    another_question, nothing_to_read,
)  # fmt: skip


def _with(model: ChurnModel, **changed: object) -> ChurnModel:
    texts = changed.get("booster_texts", model.blend_.booster_texts)
    copy = ChurnModel.from_json(model.to_json(), texts)  # type: ignore[arg-type] # texts of boosters
    copy.blend_ = replace(copy.blend_, **changed)  # type: ignore[arg-type] # fields of a blend, by name
    return copy


def _held(verdict: Verdict, seconds: float) -> Held:
    how = tuple(str(verdict.evidence.get(f"{who}_shown", "not asked")) for who in ("champion", "challenger"))
    failed = verdict.failed
    return Held(
        verdict.passed, tuple(one.name for one in failed), (how[0], how[1]), seconds,
        tuple(one.sentence for one in failed),
    )  # fmt: skip
