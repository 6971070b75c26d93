from typing import Any

import pytest

from features.language import events, feature_set
from features.windows import days
from models.card import Card, card_of
from models.definition import ChurnDefinition
from models.model import ChurnModel

FEATURES = feature_set(active_days_28d=events().active_days(last=days(28)))


@pytest.fixture(scope="module")
def model() -> ChurnModel:
    return ChurnModel(n_estimators=5, n_seeds=1).fit([[float(day)] for day in range(100)], [1] * 50 + [0] * 50)


def _card(model: ChurnModel, facts: dict[str, Any]) -> Card:
    return card_of(model, FEATURES, definition=ChurnDefinition(), facts=facts)


def test_a_card_reads_as_a_page_with_intervals_and_sentences_and_no_code(model: ChurnModel) -> None:
    facts = {
        "trained_at": "2026-11-01T00:00:00Z",
        "quality": {"auc": 0.86, "auc_low": 0.84, "auc_high": 0.88, "brier": 0.083},
        "verdict": {"decision": "deploy", "reasons": [{"code": "better", "sentence": "better than the rule."}]},
    }
    card = _card(model, facts).markdown()
    assert "- trained at: 2026-11-01T00:00:00Z" in card
    assert "| AUC | 0.86 [0.84, 0.88] |" in card
    assert "| Brier score | 0.083 |" in card
    assert "auc low" not in card
    assert "## Verdict\n\n- deploy\n- better than the rule." in card
    assert "A reason says what moved the score. It is not a cause" in card
    assert "## Intended use" in card


def test_a_card_tells_what_was_learnt_from_what_was_gained_and_what_was_found(model: ChurnModel) -> None:
    facts = {
        "rows": {"fit_rows": 5000, "fit_users": 400, "fit_churned_share": 0.125, "test_rows": 0},
        "cutoffs": {"fit": "9: 2026-01-01 to 2026-03-01"},
        "baselines": {"gain_auc_over_rfm": 0.04, "gain_auc_over_rfm_low": 0.03, "gain_auc_over_rfm_high": 0.05},
        "readiness": {"remarks": [{"level": "advice", "found": "a day is empty", "advice": "import it"}]},
        "leakage": [{"check": "canary", "looked_at": "much", "found": []}],
    }
    card = _card(model, facts).markdown()
    assert "| fit of the tested model | 5,000 | 400 | 12.5% | 9: 2026-01-01 to 2026-03-01 |" in card
    assert "| test | 0 | 0 | - | - |" in card
    assert "| RFM score | 0.04 [0.03, 0.05] | - |" in card
    assert "- advice: a day is empty" in card
    assert "- leakage: 1 checks, all clean" in card


def test_a_card_without_facts_says_what_the_model_is_and_is_not_for(model: ChurnModel) -> None:
    titles = [part.title for part in _card(model, {}).parts]
    assert titles == ["Model", "Intended use", "Limits"]


def test_facts_that_no_training_wrote_are_listed_on_one_line_each(model: ChurnModel) -> None:
    card = _card(model, {"owner": "the retention\nteam", "verdict": {"reasons": [{"sentence": "a | b"}]}}).markdown()
    assert "- owner: the retention team" in card
    assert "- a | b" in card
