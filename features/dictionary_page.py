# ruff: noqa: RUF001, RUF002 - Chinese sentences have Chinese punctuation, and figures a true minus and dash
"""A dictionary of features as one HTML page that needs nothing else: light, dark, English, Chinese, no scripts."""

from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template

import numpy as np

from features.dictionary import Dictionary, Entry, Histogram
from features.windows import iso

_TEMPLATE = Path(__file__).with_name("dictionary_page.html")
_WIDTH, _HEIGHT = 208, 40  # of a histogram, in pixels
_REACH = 56  # of a correlation of 1, to either side
_LISTED = 6  # categories that are drawn; the rest are summed up
_MEDIAN = 3  # its place among the quantiles
_TINY, _THOUSAND, _MILLION = 0.0005, 10_000, 1_000_000  # below and from where on a number is shortened
_FAMILIES = {
    "recency": ("近度", "How long ago it was.", "距今多久。"),
    "frequency": ("频度", "How often it happens.", "发生得多频繁。"),
    "money": ("金额", "What it is worth.", "价值多少。"),
    "cadence": (
        "节奏",
        "The user's own rhythm, and whether the silence breaks it.",
        "用户自己的节奏，以及沉默是否打破了它。",
    ),
    "trend": ("趋势", "Against the time before.", "与之前相比。"),
    "breadth": ("广度", "How many different things.", "涉及多少种不同的内容。"),
    "rhythm": ("作息", "At which hours and on which days.", "在哪些时段、哪些日子。"),
    "lifecycle": ("生命周期", "How long the user has been here, and how it began.", "用户来了多久，开始时如何。"),
    "service": ("服务", "Complaints, errors and other troubles.", "投诉、错误和其他麻烦。"),
    "treatment": ("触达", "What the company did, and what came of it.", "公司做了什么，效果如何。"),
    "calendar": ("日历", "When the cutoff is.", "截止时刻所处的时间。"),
    "profile": ("画像", "What is known beside events.", "事件之外已知的信息。"),
}
_UNITS = {
    "events": "次", "days": "天", "value": "数值", "values": "个", "kinds": "种", "ratio": "比值", "bits": "比特",
    "category": "类别", "fifth": "五分位", "share": "占比", "weeks": "周", "hours": "小时",
    "days a week": "天/周", "events a day": "次/天", "events a week": "次/周",
}  # fmt: skip


def page(dictionary: Dictionary) -> str:
    """The page, whole."""
    families = _by_family(dictionary.entries)
    return Template(_TEMPLATE.read_text("utf-8")).substitute(
        fingerprint=escape(dictionary.fingerprint),
        title=_both("Feature dictionary", "特征词典"),
        lead=_both(
            "Every column that a model may look at: what it says, how it is computed, and what it looks like in the "
            "population. N stands for a user's own value.",
            "模型可能用到的每一列：它说明什么、如何计算、在总体中的分布。N 代表用户自己的数值。",
        ),
        facts=_facts(dictionary),
        filters=_filters(len(families)),
        chips=_chips([(name, len(entries)) for name, entries in families], total=len(dictionary.entries)),
        sections="\n".join(_section(number, name, entries) for number, (name, entries) in enumerate(families)),
        footer=_both(
            "Histograms: a bar's height is the root of its count, so that tails can be seen; the outer bars hold what "
            "lies beyond them; the line marks the median. Correlation: "
            "Spearman's, with the days since the last activity; right of the middle it grows with the silence. "
            "It is no cause.",
            "直方图：柱高为计数的平方根，以便看清尾部；最外侧的柱包含范围以外的值；竖线为中位数。相关性：与距最近一次活动的天数之间的斯皮尔曼相关；"
            "偏右表示随沉默而增大。相关不等于因果。",
        ),
    )


def _by_family(entries: Sequence[Entry]) -> list[tuple[str, list[Entry]]]:
    """The families in the order of their first features, each with all of its own."""
    first = list(dict.fromkeys(entry.feature.family for entry in entries))
    ordered = sorted(entries, key=lambda entry: first.index(entry.feature.family))
    return [(name, list(group)) for name, group in groupby(ordered, key=lambda entry: entry.feature.family)]


def _facts(dictionary: Dictionary) -> str:
    of = dictionary.population
    active = ", ".join(of.activity)
    known = dictionary.as_known
    facts = [
        (_both("features", "特征"), f"{len(dictionary.entries)}"),
        (_both("users", "用户"), f"{dictionary.users:,}"),
        (_both("as of", "截止时刻"), iso(dictionary.cutoff)),
        (
            _both("population", "总体"),
            _both(
                of.says() + (f": {active}" if active else ""),
                of.says("zh") + (f"：{active}" if active else ""),
            ),
        ),
        (
            _both("events count", "事件计入方式"),
            _both("once they were received", "按收到时间") if known else _both("from their own time", "按发生时间"),
        ),
        (_both("fingerprint", "指纹"), f"<code>{escape(dictionary.fingerprint)}</code>"),
    ]
    return "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)


def _filters(families: int) -> str:
    """A rule a family: when it is chosen, the others are not shown."""
    rules = (f"body:has(#f{number}:checked) section:not(#s{number}) {{ display: none; }}" for number in range(families))
    return "\n".join(rules)


def _chips(families: Sequence[tuple[str, int]], *, total: int) -> str:
    chips = [_chip("all", _both("all", "全部"), total, chosen=True)]
    chips += [_chip(f"f{number}", _family(name), count) for number, (name, count) in enumerate(families)]
    return "".join(chips)


def _chip(name: str, label: str, count: int, *, chosen: bool = False) -> str:
    checked = " checked" if chosen else ""
    return (
        f'<label class="chip"><input type="radio" name="family" id="{name}"{checked}>'
        f"<span>{label} <small>{count}</small></span></label>"
    )


def _family(name: str) -> str:
    return _both(name, _FAMILIES[name][0] if name in _FAMILIES else name)


def _section(number: int, name: str, entries: Sequence[Entry]) -> str:
    _, english, chinese = _FAMILIES.get(name, ("", "", ""))
    told = f"<p>{_both(english, chinese)}</p>" if english else ""
    heads = (
        ("feature", "特征"), ("window, unit", "窗口，单位"), ("has a value", "有值"), ("distribution", "分布"),
        ("with recency", "与近度相关"),
    )  # fmt: skip
    head = "".join(f'<th scope="col">{_both(*texts)}</th>' for texts in heads)
    columns = "".join(f'<col class="{name}">' for name in ("what", "window", "there", "spread", "with"))
    rows = "\n".join(map(_row, entries))
    return (
        f'<section id="s{number}" aria-labelledby="h{number}"><div class="family">'
        f'<h2 id="h{number}">{_family(name)}</h2>{told}</div><div class="sheet"><table>'
        f"<colgroup>{columns}</colgroup><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div></section>"
    )


def _row(entry: Entry) -> str:
    feature = entry.feature
    days = feature.window_days
    window = _both("ever", "全部历史") if days is None else _both(f"{days} d", f"{days} 天") if days else "–"
    return (
        f'<tr id="{escape(feature.name, quote=True)}"><th scope="row">'
        f'<span class="sentence">{_both(feature.pattern, feature.pattern_zh or feature.pattern)}</span>'
        f'<code class="name">{escape(feature.name)}</code>'
        f'<span class="formula"><code>{escape(feature.formula)}</code></span></th>'
        f'<td>{window}<span class="quiet">{_both(feature.unit, _UNITS.get(feature.unit, feature.unit))}</span></td>'
        f"<td>{_share(1 - entry.missing)}</td><td>{_distribution(entry)}</td>"
        f"<td>{_correlation(entry.correlation)}</td></tr>"
    )


def _share(share: float) -> str:
    if np.isnan(share):
        return "–"
    # All but everybody is not everybody.
    shown = "> 99.9%" if 0.9995 <= share < 1 else "< 0.1%" if 0 < share < 0.0005 else f"{share:.1%}".replace(".0%", "%")  # noqa: PLR2004
    return (
        f'{escape(shown)}<svg width="88" height="5" aria-hidden="true" style="margin-top:.35rem">'
        f'<rect class="rail" width="88" height="5" rx="2.5"/>'
        f'<rect class="bar" width="{88 * share:.1f}" height="5" rx="2.5"/></svg>'
    )


def _distribution(entry: Entry) -> str:
    if entry.categories:
        return _shares(entry.categories)
    if entry.histogram is None:
        return _both("nobody has a value", "没有人有值")
    least, median, most = (_number(entry.quantiles[place]) for place in (0, _MEDIAN, -1))
    label = f"Histogram: from {least} to {most}, median {median}"
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{label}"><title>{_quartiles(entry)}</title>'
        f"{_bars(entry.histogram)}{_median_line(entry.histogram, entry.quantiles[_MEDIAN])}"
        f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/></svg>'
        f'<div class="ends" style="width:{_WIDTH}px"><span>{least}</span><b>{median}</b><span>{most}</span></div>'
    )


def _bars(histogram: Histogram) -> str:
    """A bar a step; the height is the root of the count, so that the tail can be seen beside the peak."""
    step, most = _WIDTH / len(histogram.counts), max(*histogram.counts, 1)
    gap = min(1.5, step / 6)
    bars = []
    for place, count in enumerate(histogram.counts):
        height = (_HEIGHT - 2) * (count / most) ** 0.5
        if count:
            bars.append(
                f'<rect class="bar" x="{place * step + gap / 2:.1f}" y="{_HEIGHT - height:.1f}" '
                f'width="{step - gap:.1f}" height="{height:.1f}" rx="1"/>'
            )
    return "".join(bars)


def _median_line(histogram: Histogram, median: float) -> str:
    span = histogram.high - histogram.low
    if not np.isfinite(median) or not span:
        return ""
    x = _WIDTH * min(1.0, max(0.0, (median - histogram.low) / span))
    return f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="-2" y2="{_HEIGHT}"/>'


def _quartiles(entry: Entry) -> str:
    names = ("min", "5 %", "25 %", "median", "75 %", "95 %", "max")
    told = (f"{name} {_number(value)}" for name, value in zip(names, entry.quantiles, strict=True))
    return " · ".join(told)


def _shares(categories: Sequence[tuple[str, float]]) -> str:
    ordered = sorted(categories, key=lambda each: -each[1])
    shown, rest = ordered[:_LISTED], ordered[_LISTED:]
    shown += [(f"… {len(rest)}", sum(share for _, share in rest))] if rest else []
    rows = (
        f'<li><i style="width:{share:.1%}"></i><span>{escape(text)}</span><b>{share:.0%}</b></li>'
        for text, share in shown
    )
    return f'<ul class="cats">{"".join(rows)}</ul>'


def _correlation(correlation: float) -> str:
    if np.isnan(correlation):
        return "–"
    width = abs(correlation) * _REACH
    start = _REACH if correlation > 0 else _REACH - width
    return (
        f'{f"{correlation:+.2f}".replace("-", "−")}<svg width="{2 * _REACH}" height="9" aria-hidden="true" '
        f'style="margin-top:.3rem"><rect class="rail" y="2" width="{2 * _REACH}" height="5" rx="2.5"/>'
        f'<rect class="{"up" if correlation > 0 else "down"}" x="{start:.1f}" y="2" width="{width:.1f}" height="5"/>'
        f'<line class="axis" x1="{_REACH}" x2="{_REACH}" y1="0" y2="9"/></svg>'
    )


def _number(value: float) -> str:
    """A number short enough to stand below a picture.

    >>> _number(0.5), _number(1234.5), _number(2_500_000.0), _number(-3.0)
    ('0.5', '1,234', '2.5M', '−3')
    """
    size = abs(value)
    if 0 < size < _TINY:
        return "≈ 0"
    if size >= _MILLION:
        shown = f"{value / _MILLION:.3g}M" if size < 1000 * _MILLION else f"{value:.1e}"
    elif size >= _THOUSAND:
        shown = f"{value / 1000:.3g}k"
    else:
        shown = f"{value:,.0f}" if size >= 100 or value == int(value) else f"{value:.3g}"  # noqa: PLR2004
    return shown.replace("-", "−")


def _both(english: str, chinese: str) -> str:
    """The text in both languages, of which the page shows one."""
    if english == chinese:
        return escape(english)
    return f'<span lang="en" data-other>{escape(english)}</span><span lang="zh">{escape(chinese)}</span>'
