"""Computations wait for their turn, and too many of them are refused at once."""

import asyncio

import pytest

from serving.refusals import RefusedError
from serving.turns import MOST_WAITING, Turns


async def outcomes(turns: Turns, arriving: int) -> list[str]:
    async def compute() -> str:
        try:
            async with turns:
                return "computed"
        except RefusedError as refused:
            return refused.code

    return await asyncio.gather(*(compute() for _ in range(arriving)))


def test_who_finds_too_many_before_him_is_refused_and_the_others_are_answered() -> None:
    found = asyncio.run(outcomes(Turns(), MOST_WAITING + 20))
    assert found == ["computed"] * MOST_WAITING + ["overloaded"] * 20


def test_whose_computation_fails_gives_his_turn_back() -> None:
    turns = Turns()

    async def failing() -> None:
        async with turns:
            raise ValueError

    async def all_of_them() -> list[str]:
        for _ in range(MOST_WAITING):
            with pytest.raises(ValueError):  # noqa: PT011 - raised above
                await failing()
        return await outcomes(turns, MOST_WAITING)

    assert asyncio.run(all_of_them()) == ["computed"] * MOST_WAITING
