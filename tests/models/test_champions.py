from hypothesis import given
from hypothesis import strategies as st

from features.windows import utc
from models.champions import Change, How, previous

AT = utc("2026-06-01")


def promoted(version: str, before: str = "") -> Change:
    return Change(version, AT, How.GATE, "", before)


def back_to(version: str, before: str) -> Change:
    return Change(version, AT, How.ROLLBACK, "list was wrong", before)


def test_a_change_is_read_back_as_it_was_written() -> None:
    change = Change("3", AT, How.FORCED, "sales agreed: 'yes'", "2")
    assert Change.from_json(change.to_json()) == change


def test_the_only_champion_has_none_before_it() -> None:
    assert previous([promoted("1")], champion="1") is None
    assert previous([], champion="1") is None


def test_a_champion_from_before_the_history_began_is_found() -> None:
    assert previous([promoted("2", before="1")], champion="2") == "1"


def test_an_alias_that_was_moved_by_hand_goes_back_to_the_last_champion_that_was_written_down() -> None:
    assert previous([promoted("1"), promoted("2", before="1")], champion="7") == "2"


def test_after_a_rollback_a_new_promotion_goes_back_to_where_the_rollback_led() -> None:
    changes = [promoted("1"), promoted("2", "1"), back_to("1", "2"), promoted("3", "1")]
    assert previous(changes, champion="3") == "1"


@given(st.integers(1, 8).flatmap(lambda count: st.tuples(st.just(count), st.integers(0, count - 1))))
def test_one_rollback_after_another_goes_back_through_all_champions_and_never_forth(sizes: tuple[int, int]) -> None:
    count, rollbacks = sizes
    versions = [str(number) for number in range(1, count + 1)]
    changes = [promoted(version, before) for before, version in zip(["", *versions], versions, strict=False)]
    champion = versions[-1]
    for _ in range(rollbacks):
        to = previous(changes, champion=champion)
        assert to is not None
        changes, champion = [*changes, back_to(to, champion)], to
    assert champion == versions[count - 1 - rollbacks]
