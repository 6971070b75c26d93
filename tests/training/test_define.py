import json
from datetime import datetime
from io import BytesIO

import numpy as np
import pytest

from features.errors import BadInput, NotReady
from features.user_events import UserEvents
from features.windows import days, shift, to_microseconds, utc
from models.definition import ChurnDefinition
from tests.cast import user_events
from tests.renewals import START, InMemory, Renewals, log_of
from training.define import Assistance, as_spans, assist
from training.define_plots import figures
from training.labels import churned

PROCESS = Renewals()


@pytest.fixture(scope="module")
def regulars() -> InMemory:
    return log_of(PROCESS.days_of(3000, length=300, seed=1), buckets=3)


@pytest.fixture(scope="module")
def found(regulars: InMemory) -> Assistance:
    return assist(regulars, in_force=ChurnDefinition())


def test_the_recommended_horizon_is_the_shortest_usual_one_from_the_true_threshold_on(found: Assistance) -> None:
    assert PROCESS.crossing() == pytest.approx(8.4, abs=0.1)
    assert PROCESS.as_likely_gone() == pytest.approx(11.0, abs=0.1)
    best = found.recommendation.definition
    assert best is not None
    assert best.horizon == days(14)
    assert best.look_back == days(14)  # takes in 94 % of the users who were still there
    assert found.errors.crossing.value == pytest.approx(PROCESS.crossing(), rel=0.1)
    assert found.errors.threshold.low - 1 < PROCESS.as_likely_gone() < found.errors.threshold.high + 1  # whole days


def test_base_rates_are_those_of_the_process(found: Assistance) -> None:
    for each in found.candidates:
        spans = each.definition.look_back.days, each.definition.horizon.days
        expected = PROCESS.base_rate(look_back=spans[0], horizon=spans[1])
        assert each.base_rate.value == pytest.approx(expected, abs=0.03), each.name


def test_base_rates_are_those_of_the_labels_that_training_makes(regulars: InMemory, found: Assistance) -> None:
    for each in (one for one in found.candidates if one.name in {"14d/7d", "60d/30d"}):
        for cutoff, people, rate in list(zip(each.cutoffs, each.people, each.rates, strict=True))[::9]:
            labels = [_labels(events, each.definition, cutoff) for events in regulars.pieces]
            everybody = np.concatenate(labels)
            assert len(everybody) == people
            assert everybody.mean() == pytest.approx(rate)


def test_acts_on_the_edges_of_spans_are_judged_as_training_judges_them() -> None:
    dice = np.random.default_rng(2)
    acts = {f"user-{place:03d}": np.unique(dice.integers(0, 125, 12)) for place in range(200)}
    log = log_of(acts)  # whole days, as cutoffs are where the observation ends with a day: every edge is hit
    found = assist(log, spans=[as_spans("14d/7d"), as_spans("7d/14d")], until=shift(START, days(120)))
    for each in found.candidates:
        for cutoff, people, rate in zip(each.cutoffs, each.people, each.rates, strict=True):
            everybody = np.concatenate([_labels(events, each.definition, cutoff) for events in log.pieces])
            assert (len(everybody), everybody.mean()) == (people, pytest.approx(rate))


def _labels(events: UserEvents, definition: ChurnDefinition, cutoff: datetime) -> np.ndarray:
    eligible = definition.population.eligible(events, cutoff=cutoff)
    users = np.array(events.user_ids, dtype=object)[eligible]
    cutoffs = np.full(len(users), to_microseconds(cutoff))
    return churned(events, definition, users=users, cutoffs=cutoffs, log_end=shift(START, days(300)))


def test_candidates_of_ones_own_are_compared_with_what_is_in_force(regulars: InMemory) -> None:
    asked = [as_spans("21d/7d"), as_spans("6w/3w")]
    found = assist(regulars, spans=asked, in_force=ChurnDefinition(look_back=days(30), horizon=days(15)))
    assert [each.name for each in found.candidates] == ["21d/7d", "42d/21d", "30d/15d"]
    assert "in force" in next(line for line in found.says().splitlines() if line.startswith("30d/15d"))


def test_what_training_refuses_is_not_recommended(regulars: InMemory) -> None:
    found = assist(regulars, spans=[as_spans("90d/90d")])
    assert found.recommendation.definition is None
    assert "the history is too short to train" in found.recommendation.reasons[0]
    assert found.candidates[0].fit_cutoffs == 0


def test_a_threshold_longer_than_can_be_judged_is_not_pretended() -> None:
    paces = [10.0, 130.0]
    acts = {f"user-{place:03d}": np.arange(place % paces[place % 2], 300, paces[place % 2]) for place in range(300)}
    found = assist(log_of(acts), gone_after=days(150))
    assert found.errors.crossing.value == float("inf")
    assert "threshold_beyond" in {warned.code for warned in found.warnings}
    assert any("the threshold lies beyond" in reason for reason in found.recommendation.reasons)


def test_everybody_seen_once_gives_no_definition() -> None:
    found = assist(log_of({f"user-{place:03d}": [place / 3] for place in range(300)}))
    assert found.recommendation.definition is None
    assert "seen_once" in {warned.code for warned in found.warnings}
    assert "there is nothing to compare" in found.says()
    json.dumps(found.to_json(), allow_nan=False)


def test_a_log_of_a_week_is_refused() -> None:
    with pytest.raises(BadInput, match="expected at least 10"):
        assist(log_of({"ada": [0, 7]}))


def test_a_log_in_which_nothing_counts_is_refused(regulars: InMemory) -> None:
    with pytest.raises(NotReady, match="kinds purchase"):
        assist(regulars, activity=("purchase",))
    with pytest.raises(NotReady, match="at least 11"):
        assist(regulars, least_value=11)


def test_an_observation_cannot_end_after_the_log(regulars: InMemory) -> None:
    with pytest.raises(BadInput, match="the log ends"):
        assist(regulars, until=utc("2028-01-01"))


def test_gone_after_must_fit_into_the_history(regulars: InMemory) -> None:
    with pytest.raises(BadInput, match="expected 1d to 296d"):
        assist(regulars, gone_after=days(299))
    assert assist(regulars, gone_after=days(60)).errors.gone_after == 60


def test_only_the_kinds_and_values_that_count_are_looked_at() -> None:
    log = InMemory(
        [
            user_events(
                {
                    "ada": [
                        ("2026-01-01", "purchase", 5),
                        ("2026-01-09", "mailing", None),
                        ("2026-02-01", "purchase", 9),
                    ],
                    "bert": [("2026-01-02", "mailing", None)],
                    "$x": [("2026-01-03", "$profile", None)],
                }
            )
        ]
    )
    assert assist(log, activity=("purchase",)).observed.kinds == {"purchase": 2}
    everything = assist(log)
    assert everything.observed.kinds == {"mailing": 2, "purchase": 2}
    assert "not_theirs" in {warned.code for warned in everything.warnings}
    assert "dates_only" in {warned.code for warned in everything.warnings}
    with pytest.raises(BadInput, match="0 days"):
        assist(log, least_value=6)


def test_machines_are_left_out(regulars: InMemory) -> None:
    robot = log_of({"robot": np.linspace(10, 290, 20_000)}, buckets=1).pieces[0]
    both = InMemory([*regulars.pieces, robot])
    spans = [as_spans("14d/7d")]
    with_robot, without = assist(both, spans=spans, most_events_a_day=50), assist(regulars, spans=spans)
    assert with_robot.users == without.users
    assert assist(both, spans=spans).users == without.users + 1


def test_a_drifting_base_rate_is_told() -> None:
    acts = PROCESS.days_of(3000, length=200, seed=3)
    thinned = {user: each[: 1 + int(each[0] < 100) * len(each)] for user, each in acts.items()}
    found = assist(log_of(thinned), spans=[as_spans("14d/14d")])
    assert "drift" in {warned.code for warned in found.warnings}
    assert found.candidates[0].trend.low > 0


def test_the_report_and_the_document_hold_what_was_found(found: Assistance) -> None:
    text = found.says()
    assert max(map(len, text.splitlines())) <= 120
    assert "Churned: active in the last 14 days, then no event for 14 days." in text
    assert "seasons" in {warned.code for warned in found.warnings}
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["recommendation"]["definition"]["horizon"] == "14d"
    assert len(document["error_curves"]["days"]) == len(document["error_curves"]["buried"])
    assert document["in_force"]["horizon"] == "30d"


def test_every_picture_can_be_drawn(found: Assistance) -> None:
    drawn = figures(found)
    assert set(drawn) == {"gaps", "return_curve", "error_curves", "base_rates"}
    for figure in drawn.values():
        page = BytesIO()
        figure.savefig(page, format="png")
        assert page.tell() > 5000


@pytest.mark.parametrize("text", ["60d", "60/30", "60d-30d", ""])
def test_a_candidate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="expected"):
        as_spans(text)


def test_workers_change_nothing(regulars: InMemory, found: Assistance) -> None:
    told: list[tuple[str, int, int]] = []
    other = assist(regulars, in_force=ChurnDefinition(), workers=2, on_progress=lambda *each: told.append(each))
    assert other.to_json() == found.to_json()
    assert told[-1] == ("counting silences", 3, 3)
