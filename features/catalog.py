"""The standard features: a catalogue that adapts to the kinds, the values and the length of a log.

Kinds that enough users have get features of their own, the rest are pooled; windows are cut to the history.
The outcome is an ordinary feature set, so the choice is frozen into its fingerprint.
"""

import re
import zlib
from collections.abc import Iterator
from itertools import pairwise

from features.expressions import Described, Expression, Season
from features.language import FeatureSet, Selection, events, feature_set, season
from features.summary import KindSummary, LogSummary
from features.windows import Interval, days

WINDOWS = (7, 14, 28, 56, 91, 182, 364)
LEAST_COVERAGE = 0.05  # a kind that fewer users have says too little to deserve columns
MOST_KINDS = 6
LEAST_HISTORY_FOR_SEASONS = 547  # days; with less than a year and a half no season is seen twice
MONTH, QUARTER, YEAR = 28, 91, 364  # whole weeks, so that every window has each weekday equally often
LONGEST_SLUG = 40
LEAST_VALUED = 0.5  # amounts that most events lack would measure who records them

Named = tuple[str, Described]


def standard(summary: LogSummary, *, activity: tuple[str, ...] = ()) -> FeatureSet:
    """The standard features for a log with this summary, about sixty to a hundred and twenty.

    `activity` names the kinds that count as being alive (empty: all). Recency, cadence and trend are theirs:
    a mailing that the company sent does not make a silent user look awake.
    """
    history = Interval(summary.start, summary.end).days
    windows = [window for window in WINDOWS if window < history] or [WINDOWS[0]]
    named = _alive(events(*activity), windows)
    valued = [kind.name for kind in summary.kinds if _has_values(kind) and (not activity or kind.name in activity)]
    if valued:
        named += _money(events(*valued), windows)
    if len(summary.kinds) > 1:
        for slug, label, kinds in _selections(summary):
            named += _of_kind(events(*kinds), slug, label, windows)
    if history >= LEAST_HISTORY_FOR_SEASONS:
        named += _calendar()
    return feature_set(**dict(named))


def kinds_kept(summary: LogSummary) -> tuple[KindSummary, ...]:
    """The kinds that get features of their own: the most widely used, each by at least 5 % of the users."""
    wide = [kind for kind in summary.kinds if kind.users >= LEAST_COVERAGE * summary.users]
    return tuple(sorted(wide, key=lambda kind: (-kind.users, kind.name))[:MOST_KINDS])


def slug_of(kind: str) -> str:
    """A column-name part for a kind: its ASCII letters, digits and underscores, or a checksum where too few remain.

    >>> slug_of("Add to cart"), slug_of("退货")
    ('add_to_cart', 'kind_b3dc31af')
    """
    plain = re.sub(r"[^a-z0-9]+", "_", kind.lower()).strip("_")
    readable = plain and plain[0].isalpha() and len(plain) <= LONGEST_SLUG and plain.isascii() and kind.isascii()
    return plain if readable else f"kind_{zlib.crc32(kind.encode('utf-8', 'surrogatepass')):08x}"


def _selections(summary: LogSummary) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    taken = {"event"}  # the name in the columns of all kinds together
    kept = kinds_kept(summary)
    for kind in kept:
        slug = slug_of(kind.name)
        while slug in taken:
            slug += "_"
        taken.add(slug)
        yield slug, f"“{_literal(kind.name)}”", (kind.name,)
    rest = tuple(kind.name for kind in summary.kinds if kind not in kept)
    if rest:
        yield "rarer_kinds", "rarer", rest


def _alive(activity: Selection, windows: list[int]) -> list[Named]:
    named: list[Named] = [
        ("days_since_last_event", activity.days_since_last().says("last seen {:.0f} days ago")),
        ("days_since_first_event", activity.days_since_first().says("first seen {:.0f} days ago")),
        ("events_ever", activity.count().says("{:.0f} events in all")),
        ("active_days_ever", activity.active_days().says("active on {:.0f} days in all")),
        (
            "active_days_per_week_ever",
            (activity.active_days() * 7 / (activity.days_since_first() + 7)).says(
                "active on {:.1f} days a week since the first"
            ),
        ),
        ("weekend_share_ever", activity.weekend_share().says("{:.0%} of the events at weekends")),
        ("night_share_ever", activity.night_share().says("{:.0%} of the events between midnight and six")),
    ]
    for window in windows:
        span = days(window)
        named += [
            (f"events_{window}d", activity.count(last=span).says(f"{{:.0f}} events in the last {window} days")),
            (
                f"active_days_{window}d",
                activity.active_days(last=span).says(f"active on {{:.0f}} of the last {window} days"),
            ),
        ]
    return [*named, *_cadence(activity), *_trend(activity, windows)]


def _cadence(activity: Selection) -> list[Named]:
    last, gap, spread = activity.days_since_last(), activity.mean_gap(), activity.gap_spread()
    longest, newest = activity.longest_gap(), activity.newest_gap()
    told: list[tuple[str, Expression, str]] = [
        ("mean_gap_days", gap, "usually {:.1f} days between active days"),
        ("gap_spread_days", spread, "gaps vary by {:.1f} days"),
        ("gap_irregularity", spread / gap, "gaps vary by {:.1f} times their mean"),
        ("longest_gap_days", longest, "longest gap so far {:.0f} days"),
        ("newest_gap_days", newest, "{:.0f} days between the two newest active days"),
        ("newest_gap_to_mean", newest / gap, "the newest gap was {:.1f} times the usual one"),
        ("silence_to_mean_gap", last / gap, "silent for {:.1f} times the usual gap"),
        ("silence_to_longest_gap", last / longest, "silent for {:.1f} times the longest gap so far"),
        ("silence_surprise", (last - gap) / (spread + 1), "silent for {:+.1f} spreads beyond the usual gap"),
        (
            "share_of_longer_gaps",
            activity.share_of_longer_gaps(),
            "{:.0%} of the past gaps were as long as this silence",
        ),
        (
            "silence_to_tenure",
            last / activity.days_since_first(),
            "silent for {:.0%} of the time since the first event",
        ),
    ]
    few = "too few active days to know the usual rhythm"
    return [(name, expression.says(sentence, missing=few, family="cadence")) for name, expression, sentence in told]


def _trend(activity: Selection, windows: list[int]) -> list[Named]:
    named: list[Named] = []
    for window in [window for window in windows if 2 * window <= windows[-1]]:
        span = days(window)
        against = f"in the last {window} days against the {window} before"
        change = activity.active_days(last=span) - activity.active_days(last=span, ago=span)
        named.append((f"active_days_change_{window}d", change.says(f"a change of {{:+.0f}} active days {against}")))
        change = activity.count(last=span) - activity.count(last=span, ago=span)
        named.append((f"events_change_{window}d", change.says(f"a change of {{:+.0f}} events {against}")))
    for shorter, longer in pairwise(windows):
        share = activity.active_days(last=days(shorter)) / activity.active_days(last=days(longer))
        sentence = f"{{:.0%}} of the active days of the last {longer} fell in the last {shorter}"
        missing = f"not active in the last {longer} days"
        named.append((f"active_share_{shorter}d_of_{longer}d", share.says(sentence, missing=missing, family="trend")))
    for half_life in (7, 28, 91):
        weight = activity.decayed_count(half_life=days(half_life))
        sentence = f"recent activity {{:.1f}} (an event counts 1 when fresh, half after {half_life} days)"
        named.append((f"events_halved_{half_life}d", weight.says(sentence)))
    recent, usual = activity.decayed_count(half_life=days(7)), activity.decayed_count(half_life=days(91))
    momentum = (recent * 13 + 1) / (usual + 1)  # 13 sevens are 91; + 1 keeps one event from looking like a trend
    return [*named, ("momentum_7d_of_91d", momentum.says("lately {:.2f} times as active as usual", family="trend"))]


def _money(valued: Selection, windows: list[int]) -> list[Named]:
    long = windows[-1]
    named: list[Named] = [
        ("amount_ever", valued.total().says("amounts of {:,.2f} in all")),
        ("mean_amount_ever", valued.mean().says("an amount of {:,.2f} on average", missing="no amount so far")),
        ("largest_amount_ever", valued.maximum().says("{:,.2f} was the largest amount", missing="no amount so far")),
        (
            f"mean_amount_{long}d",
            valued.mean(last=days(long)).says(
                f"an amount of {{:,.2f}} on average in the last {long} days",
                missing=f"no amount in the last {long} days",
            ),
        ),
    ]
    named += [
        (f"amount_{window}d", valued.total(last=days(window)).says(f"amounts of {{:,.2f}} in the last {window} days"))
        for window in [window for window in windows if window >= MONTH] or windows
    ]
    for shorter, longer in [pair for pair in ((MONTH, QUARTER), (QUARTER, YEAR)) if pair[1] in windows]:
        share = valued.total(last=days(shorter)) / valued.total(last=days(longer))
        sentence = f"{{:.0%}} of the amounts of the last {longer} days fell in the last {shorter}"
        missing = f"no amount in the last {longer} days"
        named.append((f"amount_share_{shorter}d_of_{longer}d", share.says(sentence, missing=missing, family="trend")))
    return named


def _of_kind(kind: Selection, slug: str, label: str, windows: list[int]) -> list[Named]:
    long = windows[-1]
    never = f"no {label} event so far"
    share = kind.count(last=days(long)) / events().count(last=days(long))
    month = days(28)
    change = kind.count(last=month) - kind.count(last=month, ago=month)
    return [
        (
            f"days_since_last_{slug}",
            kind.days_since_last().says(f"last {label} event {{:.0f}} days ago", missing=never),
        ),
        *(
            (
                f"{slug}_{window}d",
                kind.count(last=days(window)).says(f"{{:.0f}} {label} events in the last {window} days"),
            )
            for window in windows
            if window in (7, MONTH, QUARTER, YEAR)
        ),
        (
            f"{slug}_change_28d",
            change.says(f"a change of {{:+.0f}} {label} events in the last 28 days against the 28 before"),
        ),
        (f"{slug}_ever", kind.count().says(f"{{:.0f}} {label} events in all")),
        (
            f"{slug}_share_{long}d",
            share.says(f"{{:.0%}} of the events of the last {long} days are {label}", family="breadth"),
        ),
    ]


def _calendar() -> list[Named]:
    return [
        ("season_sine", season(Season.SINE).says("time of the year (sine {:.2f})")),
        ("season_cosine", season(Season.COSINE).says("time of the year (cosine {:.2f})")),
    ]


def _has_values(kind: KindSummary) -> bool:
    return kind.valued >= LEAST_VALUED * kind.events


def _literal(text: str) -> str:
    """Text that a sentence shows as it is: braces would be read as a place for the value."""
    return text.replace("{", "{{").replace("}", "}}")
