# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation
"""Service: complaints, tickets, errors, failed payments, cancellations: what went wrong, when and how often."""

from features.families.shape import MONTH, QUARTER, YEAR, Named, Shape, span


def columns(shape: Shape) -> list[Named]:
    """The last trouble, the troubles by window, their rate and their change; none without such kinds."""
    if shape.service is None:
        return []
    trouble = shape.service
    named = [
        (
            "days_since_last_trouble",
            trouble.days_since_last().says(
                "last trouble (complaint, ticket, error …) {:.0f} day(s) ago",
                zh="最近一次服务问题（投诉、工单、报错等）在 {:.0f} 天前",
                missing="no trouble so far",
                missing_zh="至今没有服务问题",
            ),
        ),
        ("troubles_ever", trouble.count().says("{:.0f} trouble(s) in all", zh="累计 {:.0f} 次服务问题")),
    ]
    for window in shape.some(7, MONTH, QUARTER, YEAR):
        sentence, zh = f"{{:.0f}} trouble(s) in the last {window} days", f"最近 {window} 天有 {{:.0f}} 次服务问题"
        named.append((f"troubles_{window}d", trouble.count(last=span(window)).says(sentence, zh=zh)))
    return [*named, *_rates(shape), *_changes(shape)]


def _rates(shape: Shape) -> list[Named]:
    named: list[Named] = []
    if shape.service is None:
        return named
    for window in (*shape.some(QUARTER), None):
        last = None if window is None else span(window)
        when, when_zh = ("so far", "至今") if window is None else (f"in the last {window} days", f"最近 {window} 天")
        rate = shape.service.count(last=last) / shape.activity.active_days(last=last)
        told = rate.says(
            f"{{:.2f}} troubles to an active day {when}",
            zh=f"{when_zh}平均每个活跃日 {{:.2f}} 次服务问题",
            missing=f"not active {when}",
            missing_zh=f"{when_zh}没有活跃",
            unit="events a day",
        )
        named.append(("trouble_rate_ever" if window is None else f"trouble_rate_{window}d", told))
    return named


def _changes(shape: Shape) -> list[Named]:
    named: list[Named] = []
    if shape.service is None:
        return named
    for window in shape.pairs(MONTH, QUARTER):
        change = shape.service.count(last=span(window)) - shape.service.count(last=span(window), ago=span(window))
        sentence = f"{{:+.0f}} trouble(s) in the last {window} days compared with the {window} before"
        zh = f"最近 {window} 天比之前 {window} 天的服务问题变化 {{:+.0f}} 次"
        named.append((f"trouble_change_{window}d", change.says(sentence, zh=zh)))
    return named
