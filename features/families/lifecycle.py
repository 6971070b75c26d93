# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation
"""Lifecycle: how old the acquaintance is, how it began, and how today compares with the beginning."""

from features.expressions import Season
from features.families.shape import MONTH, Named, Shape, span
from features.language import season

LATEST_ARRIVAL = 56  # days; who is first seen later is a new customer, however much later

_NEVER = {"missing": "never seen", "missing_zh": "从未活跃过"}


def columns(shape: Shape) -> list[Named]:
    """Age, tenure, arrival, the first week and the first four weeks."""
    alive = shape.activity
    first, last = alive.days_since_first(), alive.days_since_last()
    weeks = (first / 7).at_most(52).no_less_than(1)
    named = [
        ("days_since_first_event", first.says("first seen {:.0f} day(s) ago", zh="首次活跃在 {:.0f} 天前", **_NEVER)),
        (
            "tenure_days",
            (first - last).says(
                "{:.0f} day(s) from the first event to the newest", zh="从首次到最近一次活跃历时 {:.0f} 天", **_NEVER
            ),
        ),
        (
            "active_weeks_share",
            (alive.active_weeks(weeks=52) / weeks)
            .at_most(1)
            .says(
                "active in {:.0%} of the weeks since the first event (a year at most)",
                zh="首次活跃以来（最多看一年）有 {:.0%} 的周活跃过",
                **_NEVER,
            ),
        ),
    ]
    return [*named, *_arrival(shape), *_beginning(shape)]


def _arrival(shape: Shape) -> list[Named]:
    """How long after the beginning of a short, left-truncated log the user was first seen; none for any other log.

    Whoever was there before is first seen when he next comes: the regular soon, the rare later, the new one when he is
    new. An age alone does not say it while ages grow with the log (measured: on a year of groceries the level came
    nearer to the truth; on two years of wholesale, where most ages are known, users were told apart a little worse).
    """
    if shape.truncated is None or shape.knows_seasons:
        return []
    into = season(Season.DAY) - shape.truncated - shape.activity.days_since_first()
    told = into.no_less_than(0).at_most(LATEST_ARRIVAL)
    sentence = f"first seen {{:.0f}} day(s) after records began ({LATEST_ARRIVAL}: or later)"
    zh = f"首次出现在记录开始后第 {{:.0f}} 天（{LATEST_ARRIVAL} 表示 {LATEST_ARRIVAL} 天或更晚）"
    return [("days_into_log_when_first_seen", told.says(sentence, zh=zh, **_NEVER))]


def _beginning(shape: Shape) -> list[Named]:
    alive = shape.activity
    then = alive.early_count(first=span(MONTH))
    now = alive.count(last=span(MONTH))
    named = [
        ("first_week_events", alive.early_count().says("{:.0f} event(s) in the first week", zh="首周有 {:.0f} 次活动")),
        (
            "first_week_active_days",
            alive.early_active_days().says("active on {:.0f} day(s) of the first week", zh="首周活跃 {:.0f} 天"),
        ),
        ("first_month_events", then.says("{:.0f} event(s) in the first four weeks", zh="前四周有 {:.0f} 次活动")),
        (
            "first_month_active_days",
            alive.early_active_days(first=span(MONTH)).says(
                "active on {:.0f} day(s) of the first four weeks", zh="前四周活跃 {:.0f} 天"
            ),
        ),
    ]
    if MONTH in shape.windows:
        ratio = ((now + 1) / (then + 1)).says(  # + 1 on both sides: one event more or less is no story
            "lately {:.1f} times as active as in the first four weeks", zh="近期的活跃程度是前四周的 {:.1f} 倍"
        )
        named.append(("activity_to_first_month_28d", ratio))
    if shape.money is not None:
        spent = shape.money.spend.early_total()
        named.append(("first_week_amount", spent.says("{:,.2f} spent in the first week", zh="首周消费 {:,.2f}")))
    return named
