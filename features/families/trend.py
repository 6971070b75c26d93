"""Trend: whether a user comes more or less than before."""

from features.families.shape import MONTH, QUARTER, YEAR, Kind, Named, Shape, span

_SHARES = ((7, MONTH), (14, 56), (MONTH, QUARTER), (QUARTER, YEAR))  # of the longer window's, what fell in the shorter
_SLOPE_WEEKS = 13  # a quarter
_PEAK_WEEKS = ((52, "year", "一年"), (13, "quarter", "一个季度"))  # the longest that the history reaches


def columns(shape: Shape) -> list[Named]:
    """Windows against the ones before, shares of longer windows, slopes, momentum and the peak."""
    return [
        *_changes(shape),
        *_shares(shape),
        *_slopes(shape),
        *_momentum(shape),
        *(named for kind in shape.kinds for named in _of_kind(kind, shape)),
    ]


def _changes(shape: Shape) -> list[Named]:
    named: list[Named] = []
    alive = shape.activity
    for window in shape.pairs(7, 14, MONTH, 56, QUARTER, 182):
        last, before = {"last": span(window)}, {"last": span(window), "ago": span(window)}
        against, against_zh = (
            f"in the last {window} days compared with the {window} before",
            f"最近 {window} 天比之前 {window} 天",
        )
        change = alive.active_days(**last) - alive.active_days(**before)
        sentence, zh = f"{{:+.0f}} active day(s) {against}", f"{against_zh}活跃天数变化 {{:+.0f}} 天"
        named.append((f"active_days_change_{window}d", change.says(sentence, zh=zh)))
        change = alive.count(**last) - alive.count(**before)
        sentence, zh = f"{{:+.0f}} event(s) {against}", f"{against_zh}活动次数变化 {{:+.0f}} 次"
        named.append((f"events_change_{window}d", change.says(sentence, zh=zh)))
        if shape.money is not None and window >= MONTH:
            change = shape.money.spend.total(**last) - shape.money.spend.total(**before)
            sentence, zh = f"{{:+,.2f}} spent {against}", f"{against_zh}消费变化 {{:+,.2f}}"
            named.append((f"amount_change_{window}d", change.says(sentence, zh=zh)))
    return named


def _shares(shape: Shape) -> list[Named]:
    named: list[Named] = []
    measured = [("active", "active days", "活跃天数", shape.activity.active_days, "not active", "没有活跃")]
    if shape.money is not None:
        measured.append(("amount", "spend", "消费", shape.money.spend.total, "nothing spent", "没有消费"))
    for slug, what, what_zh, measure, nothing, nothing_zh in measured:
        for shorter, longer in _SHARES:
            if longer in shape.windows and (slug == "active" or shorter >= MONTH):
                share = measure(last=span(shorter)) / measure(last=span(longer))
                told = share.says(
                    f"{{:.0%}} of the {what} of the last {longer} days fell in the last {shorter}",
                    zh=f"最近 {longer} 天的{what_zh}有 {{:.0%}} 集中在最近 {shorter} 天",
                    missing=f"{nothing} in the last {longer} days",
                    missing_zh=f"最近 {longer} 天{nothing_zh}",
                )
                named.append((f"{slug}_share_{shorter}d_of_{longer}d", told))
    return named


def _slopes(shape: Shape) -> list[Named]:
    if shape.history_days <= _SLOPE_WEEKS * 7:
        return []
    slope = shape.activity.weekly_slope(weeks=_SLOPE_WEEKS).says(
        f"{{:+.2f}} events a week with every week of the last {_SLOPE_WEEKS}",
        zh=f"最近 {_SLOPE_WEEKS} 周里每周活动次数平均变化 {{:+.2f}} 次",
        missing="never seen",
        missing_zh="从未活跃过",
    )
    reached = next(peak for peak in _PEAK_WEEKS if peak[0] * 7 < shape.history_days)
    return [(f"weekly_slope_{_SLOPE_WEEKS}w", slope), *_peak(shape, *reached)]


def _peak(shape: Shape, weeks: int, name: str, name_zh: str) -> list[Named]:
    peak, since = shape.activity.peak_week(weeks=weeks), shape.activity.weeks_since_peak(weeks=weeks)
    none = {"missing": f"no active week in the {name}", "missing_zh": f"{name_zh}里没有活跃的一周"}
    return [
        (
            f"peak_week_{weeks}w",
            peak.says(
                f"{{:.0f}} event(s) in the {name}'s busiest week", zh=f"{name_zh}里最活跃的一周有 {{:.0f}} 次活动"
            ),
        ),
        (
            f"weeks_since_peak_{weeks}w",
            since.says(
                f"the {name}'s busiest week was {{:.0f}} week(s) ago",
                zh=f"{name_zh}里最活跃的一周在 {{:.0f}} 周前",
                **none,
            ),
        ),
        (
            f"week_to_peak_{weeks}w",
            (shape.activity.count(last=span(7)) / peak).says(
                f"the last seven days reach {{:.0%}} of the {name}'s busiest week",
                zh=f"最近 7 天达到{name_zh}里最活跃一周的 {{:.0%}}",
                **none,
            ),
        ),
    ]


def _momentum(shape: Shape) -> list[Named]:
    """Two fading levels beside each other; + 1 keeps one event from looking like a trend."""
    named: list[Named] = []
    for fast, slow, lately, usual, words_zh in (
        (7, 28, "these days", "in the last weeks", "近几天的活跃程度是近几周的"),
        (28, 91, "in the last weeks", "over the last months", "近几周的活跃程度是近几个月的"),
    ):
        recent, level = (shape.activity.decayed_count(half_life=span(days)) for days in (fast, slow))
        ratio = (recent * (slow / fast) + 1) / (level + 1)
        named.append(
            (
                f"momentum_{fast}d_of_{slow}d",
                ratio.says(f"{lately} {{:.1f}} times as active as {usual}", zh=f"{words_zh} {{:.1f}} 倍"),
            )
        )
    return named


def _of_kind(kind: Kind, shape: Shape) -> list[Named]:
    named: list[Named] = []
    for window in shape.pairs(MONTH):
        change = kind.chosen.count(last=span(window)) - kind.chosen.count(last=span(window), ago=span(window))
        sentence = f"{{:+.0f}} {kind.label} event(s) in the last {window} days compared with the {window} before"
        zh = f"最近 {window} 天比之前 {window} 天的{kind.label}变化 {{:+.0f}} 次"
        named.append((f"{kind.slug}_change_{window}d", change.says(sentence, zh=zh)))
    return named
