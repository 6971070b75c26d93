import json
from typing import Any

import pytest

from features.errors import BadInput
from features.paid import Paid, Renewals
from features.population import Population
from features.subscribed import Subscribed
from features.windows import days
from models.cancel import Cancel
from models.definition import OUTCOMES, ChurnDefinition
from models.lapse import Lapse

CANCEL = ChurnDefinition(outcome=Cancel(("cancel",), starts=("subscribe",)))
LAPSE = ChurnDefinition(outcome=Lapse(Renewals(("renewal",), period_days=30, grace=days(7))))
UNTIL = ChurnDefinition(outcome=Lapse(Renewals(("renewal", "topup"), paid_until="expires")))
OF_EVERY_KIND = [
    ChurnDefinition(),
    ChurnDefinition(("purchase",), least_value=12.5, most_events_a_day=1000, lead_time=days(7)),
    CANCEL,
    LAPSE,
    UNTIL,
]


def test_the_ids_of_definitions_that_models_carry_already_stay() -> None:
    assert ChurnDefinition().id == "churn-4aad82a85d9c"
    assert ChurnDefinition(("purchase",), days(28), days(7), days(14), 1000).id == "churn-aec88a08e8b2"


@pytest.mark.parametrize("definition", OF_EVERY_KIND)
def test_a_definition_of_every_kind_is_read_back_from_json(definition: ChurnDefinition) -> None:
    again = ChurnDefinition.from_json(json.loads(json.dumps(definition.to_json())))
    assert (again, again.id) == (definition, definition.id)


def test_every_kind_is_tried_here_and_no_two_mean_the_same() -> None:
    assert {definition.to_json()["kind"] for definition in OF_EVERY_KIND} == set(OUTCOMES)
    assert len({definition.id for definition in OF_EVERY_KIND}) == len(OF_EVERY_KIND)


def test_every_document_says_the_spans_and_the_activity() -> None:
    for definition in OF_EVERY_KIND:
        assert {"activity", "look_back", "lead_time", "horizon"} <= definition.to_json().keys()


def test_a_kind_of_a_later_version_is_refused() -> None:
    with pytest.raises(BadInput, match=r"'downgrade'; this version knows 'inactivity', 'cancel', 'lapse'"):
        ChurnDefinition.from_json(CANCEL.to_json() | {"kind": "downgrade"})


def test_who_can_be_lost_depends_on_what_losing_means() -> None:
    assert ChurnDefinition().population == Population((), days(60))
    assert CANCEL.population == Subscribed((), days(60), cancels=("cancel",), starts=("subscribe",))
    assert LAPSE.population == Paid((), days(60), renewals=Renewals(("renewal",), period_days=30, grace=days(7)))
    valued = ChurnDefinition(("purchase",), least_value=5.0, most_events_a_day=9)
    assert valued.population == Population(("purchase",), days(60), 9, 5.0)


def test_only_a_cancel_is_an_event_that_says_that_somebody_has_gone() -> None:
    assert [definition.outcome_kinds for definition in OF_EVERY_KIND] == [(), (), ("cancel",), (), ()]


def test_a_definition_names_its_kinds_by_their_setting() -> None:
    assert CANCEL.named_kinds == {"activity": (), "cancel": ("cancel",), "starts": ("subscribe",)}
    assert UNTIL.named_kinds == {"activity": (), "renewal": ("renewal", "topup")}


@pytest.mark.parametrize(
    ("definition", "sentence"),
    [
        (
            ChurnDefinition(("purchase", "return"), least_value=20.0),
            "Churned: active in the last 60 days, then no purchase or return of at least 20 for 30 days.",
        ),
        (
            CANCEL,
            "Churned: started (subscribe) or active in the last 60 days, not cancelled since, "
            "then cancel within 30 days.",
        ),
        (
            LAPSE,
            "Churned: paid by renewal (pays for 30 days, 7d of grace), then run out without another within 30 days.",
        ),
        (
            UNTIL,
            "Churned: paid by renewal or topup (pays until 'expires'), then run out without another within 30 days.",
        ),
    ],
)
def test_a_definition_says_what_it_means(definition: ChurnDefinition, sentence: str) -> None:
    assert definition.says() == sentence


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: ChurnDefinition(least_value=-1.0), "a least value of -1; expected a number above 0"),
        (lambda: ChurnDefinition(least_value=float("nan")), "a least value of nan"),
        (lambda: Cancel(()), "no kind of event is named that cancels"),
        (lambda: Cancel(("a",), starts=("a",)), "'a' is to cancel and to start"),
        (lambda: ChurnDefinition(("cancel",), outcome=Cancel(("cancel",))), "'cancel' is named as activity and as"),
    ],
)
def test_what_contradicts_itself_is_refused(wrong: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        wrong()
