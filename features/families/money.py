# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation
"""Money: what was spent, what a basket is worth, what was given back, and what it took in discounts."""

from features.families.shape import MONTH, QUARTER, WEEK, YEAR, Kind, Money, Named, Shape, span


def columns(shape: Shape) -> list[Named]:
    """Totals, means and maxima by window, baskets, returns, discounts and large purchases; none without amounts."""
    if shape.money is None:
        return []
    return [
        *_by_window(shape, shape.money),
        *_in_all(shape, shape.money),
        *_baskets(shape, shape.money),
        *_returned(shape, shape.money),
        *_discounts(shape, shape.money),
        *_large(shape, shape.money),
        *(named for kind in shape.kinds if kind.is_valued for named in _of_kind(kind, shape)),
    ]


def _by_window(shape: Shape, money: Money) -> list[Named]:
    named: list[Named] = []
    for window in shape.windows:
        last = span(window)
        when, when_zh = (
            (f"in the last {window} days", f"最近 {window} 天") if window > 1 else ("in the last day", "最近 1 天")
        )
        none = {"missing": f"nothing spent {when}", "missing_zh": f"{when_zh}没有消费"}
        total = money.spend.total(last=last)
        named.append((f"amount_{window}d", total.says(f"{{:,.2f}} spent {when}", zh=f"{when_zh}消费 {{:,.2f}}")))
        if window >= WEEK:
            mean, sentence = money.bought.mean(last=last), f"{{:,.2f}} on average for a purchase {when}"
            named.append((f"mean_amount_{window}d", mean.says(sentence, zh=f"{when_zh}平均每笔 {{:,.2f}}", **none)))
        if window >= MONTH:
            most, sentence = money.spend.maximum(last=last), f"{{:,.2f}} for the largest purchase {when}"
            named.append((f"largest_amount_{window}d", most.says(sentence, zh=f"{when_zh}最大一笔 {{:,.2f}}", **none)))
    return named


def _in_all(shape: Shape, money: Money) -> list[Named]:
    none = {"missing": "nothing spent so far", "missing_zh": "至今没有消费"}
    place = money.spend.total(last=span(shape.longest)).fifth_of_population()
    return [
        ("amount_ever", money.spend.total().says("{:,.2f} spent in all", zh="累计消费 {:,.2f}")),
        (
            "mean_amount_ever",
            money.bought.mean().says("{:,.2f} on average for a purchase", zh="平均每笔 {:,.2f}", **none),
        ),
        (
            "largest_amount_ever",
            money.spend.maximum().says("{:,.2f} for the largest purchase ever", zh="历史最大一笔 {:,.2f}", **none),
        ),
        ("newest_amount", money.spend.latest().says("{:,.2f} for the newest purchase", zh="最近一笔 {:,.2f}", **none)),
        (
            "newest_amount_to_mean",
            (money.spend.latest() / money.bought.mean()).says(
                "the newest purchase was {:.1f} times the usual one", zh="最近一笔是平时每笔的 {:.1f} 倍", **none
            ),
        ),
        (
            "amount_fifth",
            place.says(
                "in fifth {:.0f} of 5 by what users spend (5: the most)",
                zh="按消费金额排，在全体用户五档中属第 {:.0f} 档（5 为最高）",
                missing="not ranked by what users spend",
                missing_zh="尚无消费金额的排名",
            ),
        ),
    ]


def _baskets(shape: Shape, money: Money) -> list[Named]:
    named: list[Named] = []
    for window in shape.some(MONTH, QUARTER, YEAR):
        last = span(window)
        basket = money.spend.total(last=last) / money.spend.active_days(last=last)
        told = basket.says(
            f"{{:,.2f}} spent on a day with a purchase, over the last {window} days",
            zh=f"最近 {window} 天有消费的日子平均每天 {{:,.2f}}",
            missing=f"nothing spent in the last {window} days",
            missing_zh=f"最近 {window} 天没有消费",
        )
        named.append((f"amount_per_day_of_purchase_{window}d", told))
    return named


def _returned(shape: Shape, money: Money) -> list[Named]:
    """What was given back as a share of what was bought, in money: values below 0, or kinds that are returns."""
    if not money.returned:
        return []
    first, *others = money.returned
    named: list[Named] = []
    for window in (*shape.some(QUARTER), None):
        last = None if window is None else span(window)
        back = first.total(last=last).magnitude()
        for other in others:
            back = back + other.total(last=last).magnitude()
        when, when_zh = ("so far", "至今") if window is None else (f"in the last {window} days", f"最近 {window} 天")
        told = (back / money.bought.total(last=last)).says(
            f"{{:.0%}} of what was bought {when} came back",
            zh=f"{when_zh}购买金额中有 {{:.0%}} 被退回",
            missing=f"nothing bought {when}",
            missing_zh=f"{when_zh}没有购买",
        )
        named.append(("returned_share_ever" if window is None else f"returned_share_{window}d", told))
    since = first.days_since_last().says(
        "last return {:.0f} day(s) ago",
        zh="最近一次退货或退款在 {:.0f} 天前",
        missing="no return so far",
        missing_zh="至今没有退货或退款",
    )
    return [*named, ("days_since_last_return", since)]


def _discounts(shape: Shape, money: Money) -> list[Named]:
    if money.discounts is None:
        return []
    named: list[Named] = []
    for window in (*shape.some(MONTH, QUARTER), None):
        last = None if window is None else span(window)
        share = money.discounts.total(last=last).magnitude() / money.bought.total(last=last)
        when, when_zh = ("so far", "至今") if window is None else (f"in the last {window} days", f"最近 {window} 天")
        told = share.says(
            f"discounts came to {{:.0%}} of the spend {when}",
            zh=f"{when_zh}的优惠相当于消费的 {{:.0%}}",
            missing=f"nothing spent {when}",
            missing_zh=f"{when_zh}没有消费",
        )
        named.append(("discount_share_ever" if window is None else f"discount_share_{window}d", told))
    return named


def _large(shape: Shape, money: Money) -> list[Named]:
    if money.large is None:
        return []
    amount = f"{money.least_large:,g}"
    window = shape.some(QUARTER)[-1]
    return [
        (
            "days_since_last_large_amount",
            money.large.days_since_last().says(
                f"last purchase of {amount} or more {{:.0f}} day(s) ago",
                zh=f"最近一笔 {amount} 及以上的消费在 {{:.0f}} 天前",
                missing=f"no purchase of {amount} or more so far",
                missing_zh=f"至今没有 {amount} 及以上的消费",
            ),
        ),
        (
            f"large_amounts_{window}d",
            money.large.count(last=span(window)).says(
                f"{{:.0f}} purchase(s) of {amount} or more in the last {window} days",
                zh=f"最近 {window} 天有 {{:.0f}} 笔 {amount} 及以上的消费",
            ),
        ),
    ]


def _of_kind(kind: Kind, shape: Shape) -> list[Named]:
    named: list[Named] = []
    for window in shape.some(MONTH, QUARTER):
        total = kind.chosen.total(last=span(window))
        sentence = f"{kind.label} amounts of {{:,.2f}} in the last {window} days"
        zh = f"最近 {window} 天{kind.label}金额合计 {{:,.2f}}"
        named.append((f"{kind.slug}_amount_{window}d", total.says(sentence, zh=zh)))
    window = shape.some(YEAR)[-1]
    return [
        *named,
        (
            f"{kind.slug}_largest_amount_{window}d",
            kind.chosen.maximum(last=span(window)).says(
                f"{{:,.2f}} for the largest {kind.label} event in the last {window} days",
                zh=f"最近 {window} 天最大一笔{kind.label} {{:,.2f}}",
                missing=f"no {kind.label} amount in the last {window} days",
                missing_zh=f"最近 {window} 天没有{kind.label}金额",
            ),
        ),
        (
            f"{kind.slug}_mean_amount_{window}d",
            kind.chosen.mean(last=span(window)).says(
                f"{{:,.2f}} on average for a {kind.label} event in the last {window} days",
                zh=f"最近 {window} 天每次{kind.label}平均 {{:,.2f}}",
                missing=f"no {kind.label} amount in the last {window} days",
                missing_zh=f"最近 {window} 天没有{kind.label}金额",
            ),
        ),
    ]
