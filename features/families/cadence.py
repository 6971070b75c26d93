# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation
"""Cadence: a user's own rhythm of active days, and how the present silence looks beside it."""

from features.expressions import Expression
from features.families.shape import Named, Shape

_FEW = {"missing": "too few active days to know the usual rhythm", "missing_zh": "活跃天数太少，还看不出规律"}
_ENOUGH_WEEKS = 13  # a quarter


def columns(shape: Shape) -> list[Named]:
    """Gaps between active days, the silence relative to them, regularity and streaks."""
    told = [*_gaps(shape), *_silence(shape), *_regularity(shape)]
    return [*((name, tally.says(en, zh=zh, **_FEW)) for name, tally, en, zh in told), *_streaks(shape)]


def _gaps(shape: Shape) -> list[tuple[str, Expression, str, str]]:
    alive = shape.activity
    gap, newest, lately = alive.mean_gap(), alive.newest_gap(), alive.days_say("newest_gaps", 4)
    return [
        ("mean_gap_days", gap, "usually {:.1f} days from one active day to the next", "平均每隔 {:.1f} 天活跃一次"),
        (
            "median_gap_days",
            alive.gap_quantile(0.5),
            "half of the pauses were no longer than {:.0f} day(s)",
            "有一半的间隔不超过 {:.0f} 天",
        ),
        (
            "long_gap_days",
            alive.gap_quantile(0.9),
            "nine in ten pauses were no longer than {:.0f} day(s)",
            "九成的间隔不超过 {:.0f} 天",
        ),
        (
            "longest_gap_days",
            alive.longest_gap(),
            "the longest pause so far was {:.0f} day(s)",
            "最长一次间隔 {:.0f} 天",
        ),
        ("newest_gap_days", newest, "{:.0f} day(s) between the two newest active days", "最近两次活跃相隔 {:.0f} 天"),
        (
            "newest_gap_to_mean",
            newest / gap,
            "the newest pause was {:.1f} times the usual one",
            "最近一次间隔是平时的 {:.1f} 倍",
        ),
        (
            "newest_gaps_to_mean",
            lately / gap,
            "the last four pauses were {:.1f} times as long as usual",
            "最近四次间隔平均是平时的 {:.1f} 倍",
        ),
    ]


def _silence(shape: Shape) -> list[tuple[str, Expression, str, str]]:
    alive = shape.activity
    last, gap, spread = alive.days_since_last(), alive.mean_gap(), alive.gap_spread()
    return [
        (
            "silence_to_mean_gap",
            last / gap,
            "silent for {:.1f} times the usual pause",
            "已沉默的时间是平均间隔的 {:.1f} 倍",
        ),
        (
            "silence_to_median_gap",
            last / alive.gap_quantile(0.5),
            "silent for {:.1f} times the typical (median) pause",
            "已沉默的时间是间隔中位数的 {:.1f} 倍",
        ),
        (
            "silence_to_long_gap",
            last / alive.gap_quantile(0.9),
            "silent for {:.1f} times a pause that is long for this user",
            "已沉默的时间是该用户较长间隔的 {:.1f} 倍",
        ),
        (
            "silence_to_longest_gap",
            last / alive.longest_gap(),
            "silent for {:.1f} times the longest pause so far",
            "已沉默的时间是历史最长间隔的 {:.1f} 倍",
        ),
        (
            "silence_surprise",
            (last - gap) / (spread + 1),  # + 1 day, so that a clockwork of a user does not divide by nothing
            "the silence is {:+.1f} spreads away from the usual pause",
            "沉默时间偏离平常间隔 {:+.1f} 个波动幅度",
        ),
        (
            "share_of_longer_gaps",
            alive.share_of_longer_gaps(),
            "{:.0%} of the past pauses were as long as this silence",
            "过去 {:.0%} 的间隔不短于这次沉默",
        ),
    ]


def _regularity(shape: Shape) -> list[tuple[str, Expression, str, str]]:
    alive = shape.activity
    gap, spread = alive.mean_gap(), alive.gap_spread()
    return [
        ("gap_spread_days", spread, "pauses vary by {:.1f} days", "间隔的波动幅度为 {:.1f} 天"),
        ("gap_irregularity", spread / gap, "pauses vary by {:.1f} times their mean", "间隔的波动是其均值的 {:.1f} 倍"),
        (
            "clumpiness",
            alive.days_say("clumpiness"),
            "active days come in clumps: {:.2f} (0 evenly spread, 1 all at once)",
            "活跃日的扎堆程度为 {:.2f}（0 为均匀分布，1 为全部扎堆）",
        ),
        (
            "weekday_focus",
            alive.days_say("weekday_focus"),
            "keeps to the same weekdays: {:.2f} (0 any day, 1 always the same)",
            "固定在某几个星期几活跃的程度为 {:.2f}（0 为不固定，1 为总在同一天）",
        ),
    ]


def _streaks(shape: Shape) -> list[Named]:
    alive = shape.activity
    named = [
        (
            "current_streak_days",
            alive.current_streak().says("active {:.0f} day(s) in a row up to now", zh="到现在已连续活跃 {:.0f} 天"),
        ),
        (
            "longest_streak_days",
            alive.longest_streak().says("at best active {:.0f} day(s) in a row", zh="最长连续活跃 {:.0f} 天"),
        ),
        (
            "current_streak_weeks",
            alive.week_streak().says("active {:.0f} week(s) in a row up to now", zh="到现在已连续 {:.0f} 周活跃"),
        ),
    ]
    if shape.history_days > _ENOUGH_WEEKS * 7:
        weeks = alive.active_weeks(weeks=_ENOUGH_WEEKS)
        sentence, zh = (
            f"active in {{:.0f}} of the last {_ENOUGH_WEEKS} weeks",
            f"最近 {_ENOUGH_WEEKS} 周里有 {{:.0f}} 周活跃",
        )
        named.append((f"active_weeks_{_ENOUGH_WEEKS}w", weeks.says(sentence, zh=zh)))
    return named
