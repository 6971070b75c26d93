"""One fresh user is scored as tonight's batch scores him, and what he is compared with has a date."""

from dataclasses import replace

import pytest

from features.errors import Damaged
from features.feature_set import FeatureSet
from features.language import events, feature_set
from features.log import EventLog
from features.windows import days, from_microseconds, to_microseconds, utc
from models import bundle as bundles
from models.bundle import Bundle
from serving.fresh import FreshScore, FreshScorer
from serving.scoring import ScoredPopulation, score_population
from serving.store import Absence, ScoreStore
from tests.shop import DEFINITION, FEATURES, QUICK, START, TONIGHT, visits, write
from training.run import Training, train


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    return write(tmp_path_factory.mktemp("shop") / "events", visits())


@pytest.fixture(scope="module")
def training(log: EventLog) -> Training:
    return train(log, DEFINITION, FEATURES, now=utc("2026-08-01"), code_version="0.1.0", settings=QUICK)


@pytest.fixture(scope="module")
def bundle(training: Training, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """As it is read back from its folder."""
    folder = tmp_path_factory.mktemp("models") / "champion"
    bundles.save(training.bundle, folder, golden=training.golden)
    return bundles.load(folder)


@pytest.fixture(scope="module")
def tonight(log: EventLog, bundle: Bundle) -> ScoredPopulation:
    return score_population(log, bundle, cutoff=TONIGHT, model_version="3")


def fresh(scorer: FreshScorer, log: EventLog, user: str) -> FreshScore:
    found = scorer.score(log.read_user(user, scorer.wanted), cutoff=TONIGHT)
    assert isinstance(found, FreshScore)
    return found


def test_each_user_scored_alone_after_tonights_batch_gets_what_the_batch_gave_him(
    log: EventLog, bundle: Bundle, tonight: ScoredPopulation, empty_store: ScoreStore
) -> None:
    empty_store.write_run(tonight.facts, tonight.scores(), now=TONIGHT)
    run = empty_store.current_run()
    assert run is not None
    scorer = FreshScorer(bundle, "3", run.facts)
    alone = [fresh(scorer, log, user) for user in tonight.user_ids]
    assert [score.churn_probability for score in alone] == tonight.churn_probability.tolist()
    assert [score.reasons for score in alone] == tonight.reasons
    assert {score.fifths_as_of for score in alone} == {TONIGHT}


def test_before_the_first_batch_the_fifths_are_those_of_the_newest_population_of_the_training(
    log: EventLog, training: Training, bundle: Bundle
) -> None:
    newest = training.split.test[-1]
    batch = score_population(log, bundle, cutoff=newest, model_version="3")
    assert bundle.fifths == batch.facts.fifths
    scorer = FreshScorer(bundle, "3")
    user = batch.user_ids[0]
    then = scorer.score(log.read_user(user, scorer.wanted), cutoff=newest)
    assert isinstance(then, FreshScore)
    assert (then.churn_probability, then.reasons) == (batch.churn_probability[0], batch.reasons[0])
    assert fresh(scorer, log, user).fifths_as_of == newest


def test_a_reason_can_be_the_place_among_the_others(log: EventLog, bundle: Bundle, tonight: ScoredPopulation) -> None:
    scorer = FreshScorer(bundle, "3", tonight.facts)
    told = [reason for user in tonight.user_ids for reason in fresh(scorer, log, user).reasons]
    places = [reason.sentence for reason in told if reason.code == "frequency.frequency_fifth"]
    assert set(places) <= {f"{fifth}th fifth by visits" for fifth in range(1, 6)}
    assert len(set(places)) > 1


def test_a_population_after_the_cutoff_tells_nothing(log: EventLog, bundle: Bundle, tonight: ScoredPopulation) -> None:
    scorer = FreshScorer(replace(bundle, fifths=None), "3", tonight.facts)
    moment = from_microseconds(to_microseconds(TONIGHT) - 1)
    found = scorer.score(log.read_user(tonight.user_ids[0], scorer.wanted), cutoff=moment)
    assert isinstance(found, FreshScore)
    assert found.fifths_as_of is None
    assert not any("th fifth" in reason.sentence for reason in found.reasons)


def test_a_run_of_the_past_does_not_displace_newer_fifths(log: EventLog, bundle: Bundle, training: Training) -> None:
    again = score_population(log, bundle, cutoff=training.split.test[-1] - days(14), model_version="3")
    assert FreshScorer(bundle, "3", again.facts).fifths_at(TONIGHT) == bundle.fifths


@pytest.mark.parametrize("what", ["version", "definition", "features"])
def test_a_run_of_another_model_is_not_compared_with(bundle: Bundle, tonight: ScoredPopulation, what: str) -> None:
    assert tonight.facts.fifths is not None
    other = {
        "version": replace(tonight.facts, model_version="2"),
        "definition": replace(tonight.facts, definition_id="churn-000000000000"),
        "features": replace(tonight.facts, fifths=replace(tonight.facts.fifths, fingerprint="fs-000000000000")),
    }[what]
    assert FreshScorer(bundle, "3", other).fifths_at(TONIGHT) == bundle.fifths


def test_who_gets_no_score_tonight_gets_none_alone(log: EventLog, bundle: Bundle, tonight: ScoredPopulation) -> None:
    scorer = FreshScorer(bundle, "3", tonight.facts)
    assert "emil" in tonight.outside
    assert scorer.score(log.read_user("emil", scorer.wanted), cutoff=TONIGHT) is Absence.OUTSIDE
    assert scorer.score(log.read_user("emil", scorer.wanted), cutoff=START) is Absence.UNKNOWN
    assert scorer.score(log.read_user("nobody", scorer.wanted), cutoff=TONIGHT) is Absence.UNKNOWN


def test_features_that_look_at_nobody_else_need_no_fifths(log: EventLog) -> None:
    alone = FeatureSet(FEATURES.features[2:]) + feature_set(silence=events().days_since_last().says("{:.0f} days"))
    trained = train(log, DEFINITION, alone, now=utc("2026-08-01"), code_version="0.1.0", settings=QUICK).bundle
    tonight = score_population(log, trained, cutoff=TONIGHT, model_version="3")
    assert (trained.fifths, tonight.facts.fifths) == (None, None)
    found = fresh(FreshScorer(trained, "3", tonight.facts), log, tonight.user_ids[0])
    assert (found.churn_probability, found.fifths_as_of) == (tonight.churn_probability[0], None)


def test_a_model_trained_with_other_features_scores_nobody(bundle: Bundle) -> None:
    other = replace(bundle, facts={**bundle.facts, "feature_fingerprint": "fs-000000000000"})
    with pytest.raises(Damaged, match="fs-000000000000"):
        FreshScorer(other, "3")
