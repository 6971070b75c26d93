import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import BadInput
from models.tiers import TierRule, percentiles

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=80)


def test_capacity_cuts_the_tiers() -> None:
    tiers = TierRule(high=0.1, medium=0.2).tiers([place / 20 for place in range(20)])
    assert tiers == ["low"] * 14 + ["medium"] * 4 + ["high"] * 2


def test_equals_on_a_boundary_go_together_where_their_middle_lies() -> None:
    assert TierRule(high=0.5, medium=0).tiers([0.1, 0.5, 0.5, 0.5]) == ["low", "high", "high", "high"]
    assert TierRule(high=0.25, medium=0).tiers([0.1, 0.5, 0.5, 0.5]) == ["low"] * 4


def test_a_lone_user_stands_in_the_middle() -> None:
    assert percentiles([0.9]).tolist() == [50.0]


def test_nobody_scored_is_no_mistake() -> None:
    assert percentiles([]).tolist() == []
    assert TierRule().tiers([]) == []


@given(SCORES)
def test_percentiles_follow_the_scores_and_average_to_fifty(scores: list[float]) -> None:
    ranks = percentiles(scores)
    assert ranks.mean() == pytest.approx(50)
    assert all(0 < rank < 100 for rank in ranks)
    for score, rank in zip(scores, ranks, strict=True):
        assert all((rank < other) == (score < than) for than, other in zip(scores, ranks, strict=True))


@given(SCORES)
def test_nobody_of_a_lower_score_is_in_a_higher_tier(scores: list[float]) -> None:
    heights = [("low", "medium", "high").index(tier) for tier in TierRule().tiers(scores)]
    ranked = sorted(zip(scores, heights, strict=True))
    assert [height for _, height in ranked] == sorted(heights)


@given(SCORES)
def test_the_order_in_which_users_come_changes_nothing(scores: list[float]) -> None:
    assert TierRule().tiers(scores[::-1]) == TierRule().tiers(scores)[::-1]


@pytest.mark.parametrize(("high", "medium"), [(-0.1, 0.2), (0.1, -0.2), (0.6, 0.6), (float("nan"), 0.1)])
def test_shares_that_are_none_are_refused(high: float, medium: float) -> None:
    with pytest.raises(BadInput, match="shares of the population"):
        TierRule(high, medium)


def test_a_user_without_a_score_cannot_be_ranked() -> None:
    with pytest.raises(BadInput, match="Score every user first"):
        percentiles([0.5, float("nan")])
