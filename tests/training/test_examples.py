import json

import numpy as np

from features.language import FeatureSet, events, feature_set, profile
from features.log import EventLog
from features.windows import days
from training.examples import LOOKED_AT, SHOWN, SURE_TO_LEAVE, Outcome, examples, of_profile
from training.run import Training
from training.snapshots import TrainingSet, labelled


def _test(training: Training, shop: EventLog) -> TrainingSet:
    split = training.split
    return labelled(
        shop, training.features, training.definition, split.test, log_end=split.closes(split.test), whole=split.test
    )


def test_each_outcome_is_counted_and_told_by_its_surest_users(training: Training, shop: EventLog) -> None:
    rows = _test(training, shop)
    found = {one.outcome: one for one in examples(training.tested_model, training.features, rows)}
    assert set(found) == set(Outcome)
    said = training.tested_model.predict_proba(rows.frame)[:, 1]
    margins = training.tested_model.margin(rows.frame)
    first = np.argsort(-margins, kind="stable")[: round(SURE_TO_LEAVE * len(rows))]
    left, stayed = found[Outcome.LEFT_AS_SAID], found[Outcome.STAYED_AGAINST]
    assert left.users == int(rows.labels[first].sum())
    assert left.users + stayed.users == left.of == stayed.of == len(first)
    assert left.examples[0].churn_probability == max(said[first][rows.labels[first] == 1])
    quiet = found[Outcome.STAYED_AS_SAID]
    assert quiet.examples[0].churn_probability <= np.quantile(said, 0.5)
    assert all(len(one.examples) <= SHOWN <= LOOKED_AT for one in found.values())


def test_an_example_tells_sentences_and_no_user(training: Training, shop: EventLog) -> None:
    rows = _test(training, shop)
    found = examples(training.tested_model, training.features, rows)
    text = json.dumps([one.to_json() for one in found])
    assert "user-" not in text
    assert any("last seen" in sentence for one in found for told in one.examples for sentence in told.sentences)
    told = [one.sentences for group in found for one in group.examples]
    assert len(told) == len(set(told))


def test_what_a_profile_says_of_a_person_is_not_told() -> None:
    features: FeatureSet = feature_set(
        age=profile("age").number().says("aged {:.0f}"),
        visits=events().count(last=days(28)).says("{:.0f} visits"),
        visits_by_age=(events().count(last=days(28)) / profile("age").number()).says("{:.0f} a year of age"),
    )
    assert [of_profile(feature) for feature in features] == [True, False, True]
