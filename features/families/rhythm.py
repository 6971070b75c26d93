# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation
"""Rhythm: at what hours and on what days a user comes, by the clock of the time zone, and whether that changed."""

from collections.abc import Callable

from features.expressions import Arithmetic, Expression
from features.families.shape import MONTH, QUARTER, Named, Shape, span
from features.windows import days

_BANDS = (
    ("night", (0, 6), "between midnight and six", "凌晨（0–6 点）"),
    ("morning", (6, 12), "in the morning", "上午（6–12 点）"),
    ("afternoon", (12, 18), "in the afternoon", "下午（12–18 点）"),
    ("evening", (18, 24), "in the evening", "晚上（18–24 点）"),
)
_NEVER = {"missing": "never seen", "missing_zh": "从未活跃过"}
_WEEKEND = (5, 7)


def columns(shape: Shape) -> list[Named]:
    """Shares of the bands of the day, and of weekends, ever and of late; how far they moved."""
    named: list[Named] = []
    for window in (None, *shape.some(QUARTER)):
        last = None if window is None else span(window)
        end = "ever" if window is None else f"{window}d"
        when, when_zh = ("", "") if window is None else (f" in the last {window} days", f"最近 {window} 天")
        none = _NEVER if window is None else {"missing": f"not active{when}", "missing_zh": f"{when_zh}没有活跃"}
        for slug, share, said, said_zh in _shares(shape):
            told = share(last, days(0)).says(
                f"{{:.0%}} of the events{when} {said}", zh=f"{when_zh}有 {{:.0%}} 的活动在{said_zh}", **none
            )
            named.append((f"{slug}_share_{end}", told))
    return [*named, *(column for window in shape.pairs(MONTH, QUARTER) for column in _moved(shape, window))]


_Share = Callable[..., Arithmetic]


def _shares(shape: Shape) -> list[tuple[str, _Share, str, str]]:
    def during(hours: tuple[int, int], weekdays: tuple[int, int]) -> _Share:
        return lambda last, ago: shape.activity.share_during(
            hours=hours,
            weekdays=weekdays,
            timezone=shape.clock.timezone,
            user_timezone=shape.clock.told_by,
            last=last,
            ago=ago,
        )

    bands = [(slug, during(hours, (0, 7)), said, said_zh) for slug, hours, said, said_zh in _BANDS]
    return [
        *bands,
        ("weekend", during((0, 24), _WEEKEND), "at weekends", "周末"),
    ]


def _moved(shape: Shape, window: int) -> list[Named]:
    """Half the sum of the absolute differences (total variation) of the shares of late and all the time before."""
    shares = {slug: share for slug, share, _, _ in _shares(shape)}
    differences = [
        (shares[slug](span(window), days(0)) - shares[slug](None, span(window))).magnitude() for slug, *_ in _BANDS
    ]
    moved: Expression = differences[0]
    for difference in differences[1:]:
        moved = moved + difference
    weekend = shares["weekend"](span(window), days(0)) - shares["weekend"](None, span(window))
    none = {
        "missing": f"not active both in the last {window} days and before",
        "missing_zh": f"最近 {window} 天和之前并非都有活跃",
    }
    return [
        (
            f"rhythm_change_{window}d",
            (moved / 2).says(
                f"{{:.0%}} of the events of the last {window} days moved to another time of the day",
                zh=f"最近 {window} 天有 {{:.0%}} 的活动换了时段",
                **none,
            ),
        ),
        (
            f"weekend_change_{window}d",
            weekend.says(
                f"the share of weekends changed by {{:+.0%}} in the last {window} days",
                zh=f"最近 {window} 天周末占比变化 {{:+.0%}}",
                **none,
            ),
        ),
    ]
