# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation
"""Treatment: what the company sent, what of it was redeemed and what was ignored."""

from features.families.shape import MONTH, QUARTER, YEAR, Named, Shape, span
from features.language import Selection


def columns(shape: Shape) -> list[Named]:
    """Received, redeemed and ignored by window, the time since, and the redeemed share; none without such kinds."""
    named: list[Named] = []
    if shape.treatments is not None:
        named += _received(shape, shape.treatments)
    if shape.redemptions is not None:
        named += _redeemed(shape, shape.redemptions)
    if shape.treatments is not None and shape.redemptions is not None:
        named += _answered(shape, shape.treatments, shape.redemptions)
    return named


def _received(shape: Shape, sent: Selection) -> list[Named]:
    named = [
        (
            "days_since_last_treatment",
            sent.days_since_last().says(
                "last campaign, coupon or message received {:.0f} day(s) ago",
                zh="最近一次收到营销触达（活动、优惠券或消息）在 {:.0f} 天前",
                missing="never received a campaign, coupon or message",
                missing_zh="从未收到营销触达",
            ),
        ),
        (
            "treatments_ever",
            sent.count().says(
                "{:.0f} campaign(s), coupon(s) or message(s) received in all", zh="累计收到 {:.0f} 次营销触达"
            ),
        ),
    ]
    for window in shape.some(7, MONTH, QUARTER, YEAR):
        sentence = f"{{:.0f}} campaign(s), coupon(s) or message(s) received in the last {window} days"
        told = sent.count(last=span(window)).says(sentence, zh=f"最近 {window} 天收到 {{:.0f}} 次营销触达")
        named.append((f"treatments_{window}d", told))
    for window in shape.pairs(MONTH):
        change = sent.count(last=span(window)) - sent.count(last=span(window), ago=span(window))
        against = f"in the last {window} days compared with the {window} before"
        sentence = f"{{:+.0f}} campaign(s), coupon(s) or message(s) {against}"
        zh = f"最近 {window} 天比之前 {window} 天的营销触达变化 {{:+.0f}} 次"
        named.append((f"treatments_change_{window}d", change.says(sentence, zh=zh)))
    return named


def _redeemed(shape: Shape, used: Selection) -> list[Named]:
    named = [
        (
            "days_since_last_redemption",
            used.days_since_last().says(
                "last coupon or offer redeemed {:.0f} day(s) ago",
                zh="最近一次核销优惠在 {:.0f} 天前",
                missing="never redeemed a coupon or offer",
                missing_zh="从未核销过优惠",
            ),
        ),
        (
            "redemptions_ever",
            used.count().says("{:.0f} coupon(s) or offer(s) redeemed in all", zh="累计核销 {:.0f} 次优惠"),
        ),
    ]
    for window in shape.some(MONTH, QUARTER, YEAR):
        sentence, zh = (
            f"{{:.0f}} coupon(s) or offer(s) redeemed in the last {window} days",
            f"最近 {window} 天核销 {{:.0f}} 次优惠",
        )
        named.append((f"redemptions_{window}d", used.count(last=span(window)).says(sentence, zh=zh)))
    return named


def _answered(shape: Shape, sent: Selection, used: Selection) -> list[Named]:
    """A redemption answers some treatment; which one is not asked, so the share can be above 1."""
    named: list[Named] = []
    for window in shape.some(QUARTER, YEAR):
        ignored = (sent.count(last=span(window)) - used.count(last=span(window))).no_less_than(0)
        sentence = f"{{:.0f}} campaign(s), coupon(s) or message(s) of the last {window} days not redeemed"
        zh = f"最近 {window} 天收到的营销触达有 {{:.0f}} 次未核销"
        named.append((f"ignored_{window}d", ignored.says(sentence, zh=zh)))
    for stretch in (*shape.some(QUARTER), None):
        last = None if stretch is None else span(stretch)
        when, when_zh = ("in all", "累计") if stretch is None else (f"in the last {stretch} days", f"最近 {stretch} 天")
        told = (used.count(last=last) / sent.count(last=last)).says(
            f"{{:.1f}} redemptions to each campaign, coupon or message {when}",
            zh=f"{when_zh}每次营销触达平均带来 {{:.1f}} 次核销",
            missing=f"no campaign, coupon or message {when}",
            missing_zh=f"{when_zh}没有收到营销触达",
        )
        named.append(("redeemed_share_ever" if stretch is None else f"redeemed_share_{stretch}d", told))
    return named
