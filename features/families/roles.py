"""What a kind of event is in a business, recognised from common words in its name and from nothing else.

English words count where they stand alone: `couponIssued`, `coupon_issued` and `Coupons issued` hold the word coupon,
`couponing` does not. Chinese ones count wherever they stand.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from features.errors import BadInput

_ENGLISH = {
    "trouble": "complaint complain complained ticket error crash bug outage failed failure declined support helpdesk "
    "dispute chargeback cancel canceled cancelled cancellation",
    "refund": "refund refunded return returned",
    "request": "request requested",
    "contact": "campaign coupon voucher message email mail mailing push sms newsletter notification promo promotion "
    "offer",
    "redemption": "redeem redeemed redemption",
    "answer": "open opened click clicked read reply replied answer answered view viewed used unsubscribe unsubscribed",
    "paper": "coupon voucher offer promo",
    "use": "use used apply applied",
}
_CHINESE = {
    "trouble": "投诉 工单 报错 错误 失败 崩溃 故障 客服 申诉 维权 取消 退款申请 申请退款 退货申请 申请退货",
    "refund": "退款 退货",
    "contact": "营销 优惠券 发券 代金券 红包 短信 邮件 推送 消息 通知 群发 触达",
    "redemption": "核销 兑换 用券",
    "answer": "打开 点击 阅读 已读 查看 回复 退订 关闭",
    "paper": "券 红包",
    "use": "使用",
}


@dataclass(frozen=True, slots=True)
class Roles:
    """The kinds of a log that are more than a deed; each in one role at most."""

    service: tuple[str, ...] = ()  # trouble: complaints, tickets, errors, failed payments, cancellations
    treatments: tuple[str, ...] = ()  # what the company sent: campaigns, coupons, messages
    redemptions: tuple[str, ...] = ()  # coupons and offers that were used
    returns: tuple[str, ...] = ()  # what was given back


def assign(kinds: Sequence[str], named: Roles, *, activity: Collection[str] = ()) -> Roles:
    """The roles as named, and the ones that nobody named as recognised among the kinds that have none yet.

    What counts as being alive is no deed of the company. Raises `BadInput` for a named kind that is not in the log.
    """
    for role in ("service", "treatments", "redemptions", "returns"):
        _check(role, getattr(named, role), kinds)
    taken = {*named.service, *named.treatments, *named.redemptions, *named.returns}
    found = {kind: role_of(kind) for kind in kinds if kind not in taken}

    def of(role: str, given: tuple[str, ...], *, besides: Collection[str] = ()) -> tuple[str, ...]:
        return given or tuple(kind for kind in kinds if found.get(kind) == role and kind not in besides)

    return Roles(
        service=of("service", named.service),
        treatments=of("treatment", named.treatments, besides=activity),
        redemptions=of("redemption", named.redemptions),
        returns=of("return", named.returns),
    )


def role_of(kind: str) -> str:
    """`service`, `treatment`, `redemption` or `return`; empty for a kind whose name says none of them.

    >>> [role_of(kind) for kind in ("failedPayment", "coupon_redemption", "mailing", "email opened", "退货", "visit")]
    ['service', 'redemption', 'treatment', '', 'return', '']
    """
    said = {word for word in _ENGLISH if _says(kind, word)}
    if "trouble" in said or {"refund", "request"} <= said:
        return "service"
    if "redemption" in said or {"paper", "use"} <= said:
        return "redemption"
    if "refund" in said:
        return "return"
    return "treatment" if "contact" in said and "answer" not in said else ""


def _says(kind: str, word: str) -> bool:
    spelt = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind)
    tokens = set(re.findall(r"[a-z]+", spelt.lower()))
    return any(one in tokens or f"{one}s" in tokens for one in _ENGLISH[word].split()) or any(
        one in kind for one in _CHINESE.get(word, "").split()
    )


def _check(role: str, named: Sequence[str], kinds: Sequence[str]) -> None:
    unknown = [kind for kind in named if kind not in kinds]
    if unknown:
        raise BadInput(
            f"{role}: the log has no events of kind {', '.join(map(repr, unknown))}; "
            f"expected some of {', '.join(map(repr, kinds[:20]))}."
        )
