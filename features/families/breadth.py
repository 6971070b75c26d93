# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation
"""Breadth: how many kinds of thing a user does, and in how many places, categories or channels."""

from features.families.shape import MONTH, QUARTER, YEAR, Kind, Named, Shape, Varied, span


def columns(shape: Shape) -> list[Named]:
    """Kinds used, new and abandoned, their entropy and shares; the same of properties worth it."""
    named = _of_kinds(shape) if shape.has_several_kinds else []
    named += [_share(kind, shape) for kind in shape.kinds]
    return named + [column for varied in shape.varied for column in _of_property(varied, shape)]


def _of_kinds(shape: Shape) -> list[Named]:
    named: list[Named] = []
    for window in shape.some(MONTH, QUARTER, YEAR):
        sentence, zh = (
            f"did {{:.0f}} kind(s) of thing in the last {window} days",
            f"最近 {window} 天用过 {{:.0f}} 种行为",
        )
        named.append((f"kinds_{window}d", shape.deeds.distinct(last=span(window)).says(sentence, zh=zh)))
    named.append(
        ("kinds_ever", shape.deeds.distinct().says("has done {:.0f} kind(s) of thing", zh="累计用过 {:.0f} 种行为"))
    )
    for window in shape.some(MONTH, QUARTER):
        new, lost = shape.deeds.new(last=span(window)), shape.deeds.lost(last=span(window))
        sentence, zh = (
            f"took up {{:.0f}} new kind(s) of thing in the last {window} days",
            f"最近 {window} 天新用了 {{:.0f}} 种行为",
        )
        named.append((f"new_kinds_{window}d", new.says(sentence, zh=zh)))
        sentence = f"{{:.0f}} kind(s) of thing not done any more in the last {window} days"
        zh = f"有 {{:.0f}} 种行为最近 {window} 天不再出现"
        named.append((f"lost_kinds_{window}d", lost.says(sentence, zh=zh)))
    window = shape.some(QUARTER)[-1]
    spread = shape.deeds.entropy(last=span(window)).says(
        f"variety of what was done in the last {window} days: {{:.1f}} bits (0: always the same)",
        zh=f"最近 {window} 天行为的多样性为 {{:.1f}} 比特（0 为始终单一）",
        missing=f"nothing done in the last {window} days",
        missing_zh=f"最近 {window} 天没有任何行为",
    )
    ever = shape.deeds.entropy().says(
        "variety of what was done so far: {:.1f} bits (0: always the same)",
        zh="至今行为的多样性为 {:.1f} 比特（0 为始终单一）",
        missing="nothing done so far",
        missing_zh="至今没有任何行为",
    )
    return [*named, (f"kind_entropy_{window}d", spread), ("kind_entropy_ever", ever)]


def _share(kind: Kind, shape: Shape) -> Named:
    window = shape.some(QUARTER)[-1]
    share = kind.chosen.count(last=span(window)) / shape.deeds.count(last=span(window))
    told = share.says(
        f"{{:.0%}} of the events of the last {window} days were {kind.label}",
        zh=f"最近 {window} 天的行为中 {{:.0%}} 是{kind.label}",
        missing=f"nothing done in the last {window} days",
        missing_zh=f"最近 {window} 天没有任何行为",
    )
    return f"{kind.slug}_share_{window}d", told


def _of_property(varied: Varied, shape: Shape) -> list[Named]:
    deeds, label = shape.deeds, varied.label
    named: list[Named] = []
    for window in shape.some(MONTH, QUARTER, YEAR):
        sentence, zh = (
            f"{{:.0f}} different {label} in the last {window} days",
            f"最近 {window} 天涉及 {{:.0f}} 个不同的{label}",
        )
        tally = deeds.distinct(varied.name, last=span(window))
        named.append((f"{varied.slug}_distinct_{window}d", tally.says(sentence, zh=zh)))
    window = shape.some(MONTH)[-1]
    new = deeds.new(varied.name, last=span(window)).says(
        f"{{:.0f}} {label} seen for the first time in the last {window} days",
        zh=f"最近 {window} 天首次出现 {{:.0f}} 个{label}",
    )
    far = shape.some(QUARTER)[-1]
    lost = deeds.lost(varied.name, last=span(far)).says(
        f"{{:.0f}} earlier {label} not seen in the last {far} days",
        zh=f"以前的{label}中有 {{:.0f}} 个最近 {far} 天没再出现",
    )
    spread = deeds.entropy(varied.name).says(
        f"variety of {label} so far: {{:.1f}} bits (0: always the same)",
        zh=f"至今{label}的多样性为 {{:.1f}} 比特（0 为始终单一）",
        missing=f"no {label} so far",
        missing_zh=f"至今没有{label}",
    )
    return [
        *named,
        (f"{varied.slug}_new_{window}d", new),
        (f"{varied.slug}_lost_{far}d", lost),
        (f"{varied.slug}_entropy_ever", spread),
    ]
