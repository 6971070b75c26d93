from features.language import events, feature_set
from features.windows import days
from models.card import model_card
from models.definition import ChurnDefinition
from models.model import ChurnModel


def test_a_card_reads_as_a_page_with_intervals_and_sentences_and_no_code() -> None:
    features = feature_set(active_days_28d=events().active_days(last=days(28)))
    model = ChurnModel(n_estimators=5, n_seeds=1).fit([[float(day)] for day in range(100)], [1] * 50 + [0] * 50)
    facts = {
        "trained_at": "2026-11-01T00:00:00Z",
        "quality": {"auc": 0.86, "auc_low": 0.84, "auc_high": 0.88, "brier": 0.083},
        "verdict": {"reasons": [{"code": "better", "sentence": "better than the rule."}]},
    }
    card = model_card(model, features, definition=ChurnDefinition(), facts=facts)
    assert "- trained at: 2026-11-01T00:00:00Z" in card
    assert "| auc | 0.86 [0.84, 0.88] |" in card
    assert "| brier | 0.083 |" in card
    assert "auc low" not in card
    assert "| reasons | better than the rule. |" in card
    assert "A reason says what moved the score. It is not a cause" in card
