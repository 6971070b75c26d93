"""The standard features: a catalogue that adapts to the kinds, values, properties and the length of a log.

Kinds that enough users have get features of their own, the rest are pooled; windows are cut to the history; families
that a log knows nothing about (no amounts, no complaints, no mailings) are left out, and so are columns that would say
the same of everybody (the hours of events that are only dated, prices where all are one price). The outcome is an
ordinary feature set, so the choice is frozen into its fingerprint.
"""

import difflib
import math
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from features.errors import BadInput
from features.expressions import UTC, Additive, Clock, Described, Expression, Latest, Tally, Window, tallies
from features.families import (
    breadth,
    cadence,
    calendar,
    frequency,
    lifecycle,
    money,
    paid,
    profile,
    recency,
    rhythm,
    treatment,
    trend,
)
from features.families import (
    service as troubles,
)
from features.families.roles import Roles, assign
from features.families.shape import Kind, Money, Named, Profiled, Shape, Varied, of_family
from features.language import FeatureSet, Selection, events, feature_set
from features.paid import Renewals
from features.property_counts import PropertySummary
from features.summary import KindSummary, LogSummary
from features.windows import MICROSECONDS_PER_DAY, Interval, to_microseconds, zone_named

WINDOWS = (1, 3, 7, 14, 28, 56, 91, 182, 364)
FAMILIES: dict[str, Callable[[Shape], list[Named]]] = {
    "recency": recency.columns,
    "frequency": frequency.columns,
    "money": money.columns,
    "cadence": cadence.columns,
    "trend": trend.columns,
    "breadth": breadth.columns,
    "rhythm": rhythm.columns,
    "lifecycle": lifecycle.columns,
    "paid": paid.columns,
    "service": troubles.columns,
    "treatment": treatment.columns,
    "calendar": calendar.columns,
    "profile": profile.columns,
}
LEAST_COVERAGE = 0.05  # a kind that fewer users have says too little to deserve columns
MOST_KINDS = 6
MOST_PROPERTIES = 2  # that are counted without being named: each costs a pass over the events
MOST_PROFILES = 12
MOST_NAMED = 200  # kinds in one selection; a log with thousands would make models of megabytes
LONGEST_SLUG = 40
LEAST_VALUED = 0.5  # amounts that most events lack would measure who records them
LEAST_PRESENT = 0.2  # a property that fewer of the events have
MOST_DISTINCT = 2000  # different texts of a property; more are ids or free text
LEAST_REPEATED = 10  # events to a text on average; less often it is an id
LEAST_COVERED = 0.5  # of the profiles, by the texts that get a category of their own
_ALL_DAY = (0, 24)
DISCOUNTS = (
    "discount",
    "discounts",
    "discount_amount",
    "coupon_discount",
    "savings",
    "折扣",
    "折扣金额",
    "优惠",
    "优惠金额",
)


def standard(  # noqa: PLR0913 - each role of a kind has a word of its own
    summary: LogSummary,
    *,
    activity: tuple[str, ...] = (),
    least_value: float = 0.0,
    clock: Clock = UTC,
    service: tuple[str, ...] = (),
    treatments: tuple[str, ...] = (),
    redemptions: tuple[str, ...] = (),
    returns: tuple[str, ...] = (),
    properties: tuple[str, ...] | None = None,
    renewals: Renewals | None = None,
    without: tuple[str, ...] = (),
) -> FeatureSet:
    """The standard features for a log with this summary.

    `activity` names the kinds that count as being alive (empty: all). Recency, cadence and trend are theirs:
    a mailing that the company sent does not make a silent user look awake, nor does an event below `least_value`, where
    one is given. `service`, `treatments`, `redemptions` and
    `returns` name the kinds in these roles; one that is empty is recognised from common words in the kinds' names.
    `properties` names those whose texts are counted (none: the ones worth it). Hours are by the `clock`. `renewals` are
    the events that pay for a while, if churn is meant so. `without` names families and features to be left out.

    Raises `BadInput` for a kind, property, family or feature that there is not and for an unknown time zone.
    """
    _check(clock, summary)
    known = [kind.name for kind in summary.kinds]
    roles = assign(known, Roles(service, treatments, redemptions, returns), activity=activity)
    shape = _shape(summary, roles, activity=activity, least_value=least_value, clock=clock, properties=properties)
    shape = replace(shape, renewals=renewals)
    named = (column for family, columns in FAMILIES.items() for column in of_family(family, columns(shape)))
    described = _named_once((name, told) for name, told in named if _can_differ(told.expression, summary))
    return feature_set(**_without(described, without))


def kinds_kept(summary: LogSummary, *, besides: Collection[str] = ()) -> tuple[KindSummary, ...]:
    """The kinds that get features of their own: the most widely used, each by at least 5 % of the users."""
    wide = [kind for kind in summary.kinds if kind.users >= LEAST_COVERAGE * summary.users and kind.name not in besides]
    return tuple(sorted(wide, key=lambda kind: (-kind.users, kind.name))[:MOST_KINDS])


def slug_of(kind: str) -> str:
    """A column-name part for a kind: its ASCII letters, digits and underscores, or a checksum where too few remain.

    >>> slug_of("Add to cart"), slug_of("退货")
    ('add_to_cart', 'kind_b3dc31af')
    """
    plain = re.sub(r"[^a-z0-9]+", "_", kind.lower()).strip("_")
    readable = plain and plain[0].isalpha() and len(plain) <= LONGEST_SLUG and plain.isascii() and kind.isascii()
    return plain if readable else f"kind_{zlib.crc32(kind.encode('utf-8', 'surrogatepass')):08x}"


def _without(described: dict[str, Described], left_out: tuple[str, ...]) -> dict[str, Described]:
    """The columns but for those of the names and families; raises `BadInput` for one that is neither."""
    families = {told.family for told in described.values()}
    for each in left_out:
        if each not in FAMILIES and each not in described:
            near = difflib.get_close_matches(each, [*FAMILIES, *described], n=1)
            meant = f" Did you mean {near[0]!r}?" if near else f" Families: {', '.join(sorted(families))}."
            raise BadInput(f"without {each!r}: there is no such family or feature in the standard set.{meant}")
    kept = {name: told for name, told in described.items() if not {name, told.family} & set(left_out)}
    if not kept:
        raise BadInput(f"without {', '.join(left_out)} nothing is left of the standard set; leave out less.")
    return kept


def _check(clock: Clock, summary: LogSummary) -> None:
    zone_named(clock.timezone)
    known = [each.name for each in summary.profile_properties]
    if clock.told_by and clock.told_by not in known:
        raise BadInput(
            f"no profile has the property {clock.told_by!r} that is to name the user's time zone; "
            f"expected one of {', '.join(map(repr, known)) or 'none: the log has no profiles'}."
        )


def _shape(
    summary: LogSummary,
    roles: Roles,
    *,
    activity: tuple[str, ...],
    least_value: float,
    clock: Clock,
    properties: tuple[str, ...] | None,
) -> Shape:
    history = Interval(summary.start, summary.end).days
    deeds = [kind.name for kind in summary.kinds if kind.name not in roles.treatments]
    elsewhere = {*roles.treatments, *roles.redemptions, *roles.service}
    kept = kinds_kept(summary, besides=elsewhere)
    told = [name for name in deeds if name in elsewhere or name in {kind.name for kind in kept}]
    alone = activity or tuple(kind.name for kind in summary.kinds)
    alive = events(*activity).at_least(least_value) if least_value else events(*activity)
    return Shape(
        windows=tuple(window for window in WINDOWS if window < history) or WINDOWS[:1],
        history_days=history,
        clock=clock,
        activity=alive,
        deeds=(_events(deeds) if roles.treatments else None) or events(),
        has_several_kinds=len(deeds) > 1,
        kinds=tuple(
            _kind(kind) for kind in kept if (kind.name,) != alone or least_value
        ),  # alone, it is all activity: no need to say it twice
        told=_events(told) if len(told) < len(deeds) else None,
        money=_money(summary, roles, activity=activity),
        service=_events(roles.service),
        treatments=_events(roles.treatments),
        redemptions=_events(roles.redemptions),
        varied=tuple(_varied(one) for one in _worth_counting(summary, properties)),
        profiles=tuple(_profiles(summary.profile_properties)),
        truncated=None if summary.truncated is None else to_microseconds(summary.truncated) // MICROSECONDS_PER_DAY,
    )


def _events(kinds: Sequence[str]) -> Selection | None:
    return events(*kinds[:MOST_NAMED]) if kinds else None


def _kind(kind: KindSummary) -> Kind:
    return Kind(slug_of(kind.name), f"“{_literal(kind.name)}”", events(kind.name), is_valued=_has_values(kind))


def _money(summary: LogSummary, roles: Roles, *, activity: tuple[str, ...]) -> Money | None:
    no_spend = {*roles.service, *roles.treatments, *roles.redemptions, *roles.returns}
    valued = [kind for kind in summary.kinds if _has_values(kind)]
    bought = [kind for kind in valued if kind.name not in no_spend and (not activity or kind.name in activity)]
    given_back = [kind.name for kind in valued if kind.name in roles.returns]
    if not bought:
        return None
    spend = events(*(kind.name for kind in bought[:MOST_NAMED]))
    has_negative = 0 < sum(kind.negative for kind in bought) < sum(kind.valued for kind in bought)
    main = max(bought, key=lambda kind: kind.valued)
    least_large = float(f"{main.large or 0.0:.3g}")  # as exact as one says it
    discount = next((one.name for one in summary.properties if _is_discount(one)), None)
    return Money(
        spend=spend,
        bought=spend.at_least(0) if has_negative else spend,
        returned=(spend.below(0),) * has_negative + (events(*given_back[:MOST_NAMED]),) * bool(given_back),
        large=events(main.name).at_least(least_large) if least_large > 0 else None,
        least_large=least_large,
        discounts=None if discount is None else spend.of(discount),
    )


def _worth_counting(summary: LogSummary, named: tuple[str, ...] | None) -> list[PropertySummary]:
    """The properties as named; else those that enough events have, and that repeat themselves as ids do not."""
    if named is not None:
        known = {one.name: one for one in summary.properties}
        unknown = [name for name in named if name not in known]
        if unknown:
            raise BadInput(
                f"the log's events have no property {', '.join(map(repr, unknown))}; "
                f"expected some of {', '.join(map(repr, list(known)[:20])) or 'none: no event has a property'}."
            )
        return [known[name] for name in named]
    worth = [
        one
        for one in summary.properties
        if one.events >= LEAST_PRESENT * summary.events
        and 1 < one.distinct <= min(MOST_DISTINCT, one.events / LEAST_REPEATED)
        and not _is_discount(one)
    ]
    return worth[:MOST_PROPERTIES]


def _varied(one: PropertySummary) -> Varied:
    return Varied(slug_of(one.name), f"“{_literal(one.name)}”", one.name)


def _profiles(properties: Iterable[PropertySummary]) -> Iterator[Profiled]:
    """Numbers as numbers; texts as categories where the most frequent ones cover most users."""
    told = 0
    for one in properties:
        texts = tuple(text for text, _ in one.texts)
        is_number = bool(texts) and all(map(_is_number, texts))
        covered = sum(count for _, count in one.texts)
        if told < MOST_PROFILES and one.distinct > 1 and (is_number or covered >= LEAST_COVERED * one.events):
            told += 1
            yield Profiled(slug_of(one.name), _literal(one.name), one.name, () if is_number else texts)


def _is_discount(one: PropertySummary) -> bool:
    return one.name.casefold() in DISCOUNTS and all(_is_number(text) for text, _ in one.texts)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _has_values(kind: KindSummary) -> bool:
    return kind.valued >= LEAST_VALUED * kind.events and not kind.least == kind.most == 0


def _can_differ(expression: Expression, summary: LogSummary) -> bool:
    """Whether a column can say different things of different users, as far as the summary shows."""
    told = tallies(expression)
    if any(_is_of_other_days(tally, summary) for tally in told):
        return False
    return (summary.has_hours or not any(map(_reads_hours, told))) and not _is_one_price(told, summary)


def _reads_hours(tally: Tally) -> bool:
    return isinstance(tally, Window) and tally.during is not None and tally.during.hours != _ALL_DAY


def _is_of_other_days(tally: Tally, summary: LogSummary) -> bool:
    """Whether a tally is of weekdays on which nothing ever happens; by another clock than UTC nobody can say."""
    if not isinstance(tally, Window) or tally.during is None or tally.during.clock != UTC:
        return False
    return set(range(*tally.during.weekdays)).isdisjoint(summary.weekdays)


def _is_one_price(told: Sequence[Tally], summary: LogSummary) -> bool:
    """Whether a mean, largest or newest value is told of events that all have the same."""
    if not any(_is_price(tally) for tally in told) or any(tally.chosen.measure for tally in told):
        return False
    if not all(_is_price(tally) or (isinstance(tally, Window) and tally.what is Additive.TOTAL) for tally in told):
        return False
    chosen = [kind for kind in summary.kinds if any(tally.chosen.covers(kind.name) for tally in told)]
    values = {value for kind in chosen for value in (kind.least, kind.most) if value is not None}
    return len(values) == 1


def _is_price(tally: Tally) -> bool:
    if isinstance(tally, Latest):
        return True
    return isinstance(tally, Window) and tally.what in {Additive.VALUED, Additive.MAXIMUM}


def _literal(text: str) -> str:
    """Text that a sentence shows as it is: braces would be read as a place for the value."""
    return text.replace("{", "{{").replace("}", "}}")


def _named_once(named: Iterable[Named]) -> dict[str, Described]:
    """The columns by name; of two with one name (kinds may be called anything) the later gets an underscore."""
    columns: dict[str, Described] = {}
    for name, told in named:
        free = name
        while free in columns:
            free += "_"
        columns[free] = told
    return columns
