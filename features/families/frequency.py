# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation
"""Frequency: how often, over short and long windows."""

from features.families.shape import MONTH, QUARTER, YEAR, Kind, Named, Shape, span


def columns(shape: Shape) -> list[Named]:
    """Events and active days by window, of all activity and of each kind."""
    return [
        *_by_window(shape),
        *_in_all(shape),
        *_weighted(shape),
        *(named for kind in shape.kinds for named in _of_kind(kind, shape)),
        *_rarer(shape),
    ]


def _by_window(shape: Shape) -> list[Named]:
    named: list[Named] = []
    for window in shape.windows:
        count, active = shape.activity.count(last=span(window)), shape.activity.active_days(last=span(window))
        last, last_zh = (
            (f"the last {window} days", f"最近 {window} 天") if window > 1 else ("the last day", "最近 1 天")
        )
        named.append(
            (f"events_{window}d", count.says(f"{{:.0f}} event(s) in {last}", zh=f"{last_zh}有 {{:.0f}} 次活动"))
        )
        if window > 1:  # of one day it would be the sign of the count
            sentence = f"active on {{:.0f}} of {last}"
            named.append((f"active_days_{window}d", active.says(sentence, zh=f"{last_zh}里有 {{:.0f}} 天活跃")))
    return named


def _in_all(shape: Shape) -> list[Named]:
    alive = shape.activity
    rate = alive.active_days() * 7 / (alive.days_since_first() + 7)  # + 7 keeps a first day from looking like a habit
    return [
        ("events_ever", alive.count().says("{:.0f} event(s) in all", zh="累计 {:.0f} 次活动")),
        ("active_days_ever", alive.active_days().says("active on {:.0f} day(s) in all", zh="累计活跃 {:.0f} 天")),
        (
            "active_days_per_week_ever",
            rate.says(
                "active on {:.1f} days a week since the first event",
                zh="首次活跃以来平均每周活跃 {:.1f} 天",
                missing="never seen",
                missing_zh="从未活跃过",
                unit="days a week",
            ),
        ),
        *(
            (
                f"events_per_active_day_{window}d",
                (alive.count(last=span(window)) / alive.active_days(last=span(window))).says(
                    f"{{:.1f}} events on an active day of the last {window}",
                    zh=f"最近 {window} 天里每个活跃日平均 {{:.1f}} 次活动",
                    missing=f"not active in the last {window} days",
                    missing_zh=f"最近 {window} 天没有活跃",
                    unit="events a day",
                ),
            )
            for window in shape.some(MONTH, YEAR)
        ),
        (
            "frequency_fifth",
            alive.active_days(last=span(shape.longest))
            .fifth_of_population()
            .says(
                "in fifth {:.0f} of 5 by how often users are active (5: the most often)",
                zh="按活跃频率排，在全体用户五档中属第 {:.0f} 档（5 为最频繁）",
                missing="not ranked by how often users are active",
                missing_zh="尚无活跃频率的排名",
            ),
        ),
    ]


def _weighted(shape: Shape) -> list[Named]:
    """Levels that fade instead of falling off the end of a window, told as a rate a week."""
    named: list[Named] = []
    for half_life, lately, lately_zh in (
        (7, "these days", "近几天"),
        (28, "in the last weeks", "近几周"),
        (91, "over the last months", "近几个月"),
    ):
        weight = shape.activity.decayed_count(half_life=span(half_life))
        weekly = weight * (7 * 0.6931471805599453 / half_life)  # ln 2: so a steady user's level is his weekly count
        named.append(
            (
                f"events_a_week_halved_{half_life}d",
                weekly.says(
                    f"{lately} about {{:.1f}} events a week",
                    zh=f"{lately_zh}大约每周 {{:.1f}} 次活动",
                    unit="events a week",
                ),
            )
        )
    return named


def _of_kind(kind: Kind, shape: Shape) -> list[Named]:
    chosen, label = kind.chosen, kind.label
    return [
        *(
            (
                f"{kind.slug}_{window}d",
                chosen.count(last=span(window)).says(
                    f"{{:.0f}} {label} event(s) in the last {window} days", zh=f"最近 {window} 天有 {{:.0f}} 次{label}"
                ),
            )
            for window in shape.some(7, MONTH, QUARTER, YEAR)
        ),
        *(
            (
                f"{kind.slug}_active_days_{window}d",
                chosen.active_days(last=span(window)).says(
                    f"{label} events on {{:.0f}} of the last {window} days",
                    zh=f"最近 {window} 天里有 {{:.0f}} 天出现{label}",
                ),
            )
            for window in shape.some(QUARTER)
        ),
    ]


def _rarer(shape: Shape) -> list[Named]:
    """What is left when the kinds with columns of their own are taken away: no list of thousands of names."""
    if shape.told is None:
        return []
    named: list[Named] = []
    for window in shape.some(MONTH, shape.longest):
        rest = shape.deeds.count(last=span(window)) - shape.told.count(last=span(window))
        sentence, zh = f"{{:.0f}} rarer event(s) in the last {window} days", f"最近 {window} 天有 {{:.0f}} 次少见的行为"
        named.append((f"rarer_kinds_{window}d", rest.says(sentence, zh=zh)))
    rest = shape.deeds.count() - shape.told.count()
    return [*named, ("rarer_kinds_ever", rest.says("{:.0f} rarer event(s) in all", zh="累计 {:.0f} 次少见的行为"))]
