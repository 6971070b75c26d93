# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation
"""Calendar: when the cutoff is, and the same weeks a year ago, so that a Christmas does not look like loyalty."""

from features.expressions import Season
from features.families.shape import MONTH, Named, Shape, span
from features.language import season

LEAST_HISTORY_FOR_LAST_YEAR = 392  # days; a year, and as long as the window itself
_BEFORE = 336  # days: 28 days that end then begin 364 days, 52 whole weeks, before the cutoff


def columns(shape: Shape) -> list[Named]:
    """When the cutoff is, and what the user did in the four weeks that began a year before the cutoff."""
    return _when(shape) + _last_year(shape)


def _when(shape: Shape) -> list[Named]:
    """The season where one is known; else the day, from which trees learn how the level moved, and stay at the newest.

    Not both: where the season is known, its level a year ago can be followed (`training.level`), and a day beside it
    hides from that what there is to follow.
    """
    if not shape.knows_seasons:
        return [("cutoff_day", season(Season.DAY).says("day {:,.0f} of the calendar", zh="日历上的第 {:,.0f} 天"))]
    return [
        ("season_sine", season(Season.SINE).says("time of the year (sine {:.2f})", zh="一年中的时节（正弦 {:.2f}）")),
        (
            "season_cosine",
            season(Season.COSINE).says("time of the year (cosine {:.2f})", zh="一年中的时节（余弦 {:.2f}）"),
        ),
    ]


def _last_year(shape: Shape) -> list[Named]:
    if shape.history_days < LEAST_HISTORY_FOR_LAST_YEAR:
        return []
    when, when_zh = "in the four weeks that began a year ago", "去年同期四周"
    then, month = span(_BEFORE), span(MONTH)
    alive = shape.activity
    now = (alive.count(last=month) + 1) / (alive.count(last=month, ago=then) + 1)
    named = [
        (
            "events_last_year_28d",
            alive.count(last=month, ago=then).says(f"{{:.0f}} event(s) {when}", zh=f"{when_zh}有 {{:.0f}} 次活动"),
        ),
        (
            "active_days_last_year_28d",
            alive.active_days(last=month, ago=then).says(
                f"active on {{:.0f}} day(s) {when}", zh=f"{when_zh}活跃 {{:.0f}} 天"
            ),
        ),
        (
            "events_to_last_year_28d",
            now.says(
                "the last four weeks were {:.1f} times as active as the four that began a year ago",
                zh="最近四周的活跃程度是去年同期的 {:.1f} 倍",
            ),
        ),
    ]
    if shape.money is not None:
        spent = shape.money.spend.total(last=month, ago=then)
        named.append(("amount_last_year_28d", spent.says(f"{{:,.2f}} spent {when}", zh=f"{when_zh}消费 {{:,.2f}}")))
    return named
