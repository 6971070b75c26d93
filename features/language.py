"""The language of features: sentences about one user's events before a cutoff.

    purchase = events("purchase")
    feature_set(
        days_since_last_purchase=purchase.days_since_last().says("last purchase {:.0f} day(s) ago"),
        purchases_change_28d=(purchase.count(last=days(28)) - purchase.count(last=days(28), ago=days(28))).says(
            "{:+.0f} purchases on the four weeks before"
        ),
    )

No operator takes a time at or after the cutoff, so the future cannot be written down.
Unknown is missing (NaN); a count or a total of nothing is 0; a ratio over nothing is missing.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from features.errors import BadInput
from features.expressions import (
    Additive,
    Age,
    Arithmetic,
    Breadth,
    Chosen,
    Clock,
    Described,
    End,
    Expression,
    Hours,
    Latest,
    OfCutoff,
    OfDays,
    Season,
    Variety,
    Window,
    categories,
)
from features.feature_set import Feature, FeatureSet
from features.kinds import PROFILE
from features.operators import WEEKS, known
from features.windows import days, zone_named

__all__ = [
    "Feature",
    "FeatureSet",
    "Profile",
    "Season",
    "Selection",
    "days",
    "events",
    "feature_set",
    "profile",
    "season",
]


@dataclass(frozen=True, slots=True)
class Selection:
    """The events of some kinds; every method is one thing that can be said of them."""

    chosen: Chosen

    def of(self, measure: str) -> "Selection":
        """The same events, their value read from a property that holds a number; missing where it holds none."""
        return Selection(replace(self.chosen, measure=measure, dated=False))

    def until(self, measure: str) -> "Selection":
        """The same events with the date or instant in this property for a value: how many days after the event it is.

        >>> until = events("renewal").until("expires").at_least(-36500)  # only renewals with a date that can be read
        >>> paid_days_left = until.latest() - until.days_since_last()
        """
        return Selection(replace(self.chosen, measure=measure, dated=True))

    def at_least(self, value: float) -> "Selection":
        """Only those whose value is as large."""
        return Selection(replace(self.chosen, least=float(value)))

    def below(self, value: float) -> "Selection":
        """Only those whose value is smaller."""
        return Selection(replace(self.chosen, below=float(value)))

    def count(self, *, last: timedelta | None = None, ago: timedelta = days(0)) -> Window:
        """How many events; 0 for none."""
        return self._window(Additive.COUNT, last, ago)

    def total(self, *, last: timedelta | None = None, ago: timedelta = days(0)) -> Window:
        """The sum of their values; events without a value add nothing."""
        return self._window(Additive.TOTAL, last, ago)

    def valued(self, *, last: timedelta | None = None, ago: timedelta = days(0)) -> Window:
        """How many of them came with a value."""
        return self._window(Additive.VALUED, last, ago)

    def mean(self, *, last: timedelta | None = None, ago: timedelta = days(0)) -> Arithmetic:
        """The mean of their values; missing when no event came with a value."""
        return self.total(last=last, ago=ago) / self.valued(last=last, ago=ago)

    def maximum(self, *, last: timedelta | None = None, ago: timedelta = days(0)) -> Window:
        """The largest value; missing when no event came with a value."""
        return self._window(Additive.MAXIMUM, last, ago)

    def active_days(self, *, last: timedelta | None = None, ago: timedelta = days(0)) -> Window:
        """On how many days, counted back from the cutoff, there was an event."""
        return self._window(Additive.ACTIVE_DAYS, last, ago)

    def share_during(
        self,
        *,
        hours: tuple[int, int] = (0, 24),
        weekdays: tuple[int, int] = (0, 7),
        timezone: str = "UTC",
        user_timezone: str = "",
        last: timedelta | None = None,
        ago: timedelta = days(0),
    ) -> Arithmetic:
        """The share of the events in some hours of some weekdays, 0 to 1; missing when there is no event.

        Both ranges are half-open, Monday is 0: `hours=(22, 24), weekdays=(4, 6)` is late on Fridays and Saturdays, by
        the clocks of `timezone`; or of the zone that the property `user_timezone` of the user's profile named at the
        time of the event, where it named one. Raises `BadInput` for a range that is none and for an unknown zone.
        """
        for name, (start, end), top in (("hours", hours, 24), ("weekdays", weekdays, 7)):
            if not 0 <= start < end <= top:
                raise BadInput(f"{name}={(start, end)} is no range of them; expected 0 <= start < end <= {top}.")
        zone_named(timezone)
        hours_meant = Hours(hours, weekdays, Clock(timezone, user_timezone))
        during = replace(self._window(Additive.DURING, last, ago), during=hours_meant)
        return during / self.count(last=last, ago=ago)

    def weekend_share(
        self, *, timezone: str = "UTC", user_timezone: str = "", last: timedelta | None = None
    ) -> Arithmetic:
        """The share of events on a Saturday or Sunday, 0 to 1; missing when there is no event."""
        return self.share_during(weekdays=(5, 7), timezone=timezone, user_timezone=user_timezone, last=last)

    def night_share(
        self, *, timezone: str = "UTC", user_timezone: str = "", last: timedelta | None = None
    ) -> Arithmetic:
        """The share of events from midnight to six, 0 to 1; missing when there is no event."""
        return self.share_during(hours=(0, 6), timezone=timezone, user_timezone=user_timezone, last=last)

    def days_since_last(self) -> Age:
        """Days from the newest event to the cutoff; missing when there is none."""
        return Age(End.LAST, self.chosen)

    def days_since_first(self) -> Age:
        """Days from the oldest event to the cutoff; missing when there is none."""
        return Age(End.FIRST, self.chosen)

    def distinct(self, by: str = "", *, last: timedelta | None = None) -> Breadth:
        """How many kinds of event there were, or different texts of the property `by`."""
        return self._breadth(Variety.DISTINCT, by, last)

    def new(self, by: str = "", *, last: timedelta) -> Breadth:
        """How many kinds, or texts of the property, were seen in the last days for the first time."""
        return self._breadth(Variety.NEW, by, last)

    def lost(self, by: str = "", *, last: timedelta) -> Breadth:
        """How many kinds, or texts of the property, were seen before the last days but not since."""
        return self._breadth(Variety.LOST, by, last)

    def entropy(self, by: str = "", *, last: timedelta | None = None) -> Breadth:
        """How evenly the events spread over kinds, or texts of the property, in bits; missing when there is none.

        Shannon's entropy (A Mathematical Theory of Communication, 1948) of the shares: 0 when all are alike.
        """
        return self._breadth(Variety.ENTROPY, by, last)

    def latest(self) -> Latest:
        """The newest value; missing when no event came with one."""
        return Latest(self.chosen)

    def latest_text(self, property: str, among: tuple[str, ...]) -> Latest:  # noqa: A002 - what it is called
        """The newest text of a property as a category: its place in `among`, or the place after for another text."""
        if not among or len(set(among)) < len(among):
            raise BadInput(f"{property!r}: found the categories {among}; expected one or more, each once.")
        return Latest(replace(self.chosen, measure=property), tuple(among))

    def days_say(self, operator: str, number: float = 0.0) -> OfDays:
        """What an operator (`features.operators`) says of the days with such events; `number` is its parameter."""
        known(operator)
        return OfDays(operator, self.chosen, float(number))

    def mean_gap(self) -> OfDays:
        """The mean days from one active day to the next; missing with fewer than two active days."""
        return self.days_say("mean_gap")

    def gap_spread(self) -> OfDays:
        """The standard deviation (population formula) of the days between active days; missing with fewer than two."""
        return self.days_say("gap_spread")

    def gap_quantile(self, share: float) -> OfDays:
        """The gap in days that this share of the gaps does not exceed; missing with fewer than two active days."""
        return self.days_say("gap_quantile", share)

    def longest_gap(self) -> OfDays:
        """The most days from one active day to the next; missing with fewer than two active days."""
        return self.days_say("longest_gap")

    def newest_gap(self) -> OfDays:
        """The days between the two newest active days; missing with fewer than two active days."""
        return self.days_say("newest_gap")

    def share_of_longer_gaps(self) -> OfDays:
        """The share of the user's own gaps that were at least as long as the present silence, 0 to 1."""
        return self.days_say("longer_gaps")

    def current_streak(self) -> OfDays:
        """Active days in a row up to the cutoff; 0 when the last day before it was silent."""
        return self.days_say("current_streak")

    def longest_streak(self) -> OfDays:
        """The most active days in a row so far."""
        return self.days_say("longest_streak")

    def week_streak(self) -> OfDays:
        """Active weeks in a row, counted back from the cutoff; 52 at most."""
        return self.days_say("week_streak")

    def active_weeks(self, *, weeks: int) -> OfDays:
        """How many of the last weeks, counted back from the cutoff, had an event."""
        return self.days_say("active_weeks", _weeks(weeks))

    def weekly_slope(self, *, weeks: int) -> OfDays:
        """By how much the count of a week grows from week to week, fitted over the last weeks."""
        return self.days_say("weekly_slope", _weeks(weeks))

    def peak_week(self, *, weeks: int) -> OfDays:
        """The count of the busiest of the last weeks."""
        return self.days_say("peak_week", _weeks(weeks))

    def weeks_since_peak(self, *, weeks: int) -> OfDays:
        """How many weeks ago the busiest of the last weeks was; missing when all were silent."""
        return self.days_say("weeks_since_peak", _weeks(weeks))

    def early_count(self, *, first: timedelta = days(7)) -> OfDays:
        """The events of the first days, from the day of the first one."""
        return self.days_say("early_count", _whole_days(first, least=1))

    def early_active_days(self, *, first: timedelta = days(7)) -> OfDays:
        """The active days among the first days, from the day of the first event."""
        return self.days_say("early_active_days", _whole_days(first, least=1))

    def early_total(self, *, first: timedelta = days(7)) -> OfDays:
        """The sum of the values of the first days, from the day of the first event."""
        return self.days_say("early_total", _whole_days(first, least=1))

    def decayed_count(self, *, half_life: timedelta) -> Window:
        """The count with every event's weight halved each `half_life` of age (whole days)."""
        return Window(Additive.DECAYED_COUNT, self.chosen, half_life=_whole_days(half_life, least=1))

    def decayed_total(self, *, half_life: timedelta) -> Window:
        """The sum of the values with every one's weight halved each `half_life` of age (whole days)."""
        return Window(Additive.DECAYED_TOTAL, self.chosen, half_life=_whole_days(half_life, least=1))

    def _window(self, what: Additive, last: timedelta | None, ago: timedelta) -> Window:
        return Window(what, self.chosen, last=_last_days(last), ago=_whole_days(ago, least=0))

    def _breadth(self, what: Variety, by: str, last: timedelta | None) -> Breadth:
        return Breadth(what, by, self.chosen, last=_last_days(last))


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known about a user beside what he did, as it stood at the cutoff."""

    name: str

    def among(self, *texts: str) -> Latest:
        """The text as a category: its place in the list, or the place after it for any other; missing when unknown."""
        return events(PROFILE).latest_text(self.name, texts)

    def number(self) -> Latest:
        """The number; missing when unknown or no number."""
        return events(PROFILE).of(self.name).latest()


def events(*kinds: str) -> Selection:
    """The events of the kinds named; of all kinds (but the reserved ones) when none is named.

    >>> events("purchase").count(last=days(28)).last
    28
    """
    return Selection(Chosen(tuple(sorted(set(kinds)))))


def profile(name: str) -> Profile:
    """A column of the users' profiles.

    >>> profile("plan").among("free", "pro").among
    ('free', 'pro')
    """
    return Profile(name)


def season(part: Season) -> OfCutoff:
    """The sine or cosine of the cutoff's day of the year, or the day itself."""
    return OfCutoff(part)


def feature_set(**described: Described | Expression) -> FeatureSet:
    """A feature set whose column names are the keywords.

    >>> feature_set(events_28d=events().count(last=days(28))).names
    ('events_28d',)
    """
    return FeatureSet(tuple(_feature(name, entry) for name, entry in described.items()))


def _feature(name: str, entry: Described | Expression) -> Feature:
    if isinstance(entry, Expression):
        entry = entry.says(name.replace("_", " ") + (": {}" if categories(entry) else ": {:.3g}"))
    return Feature(
        name,
        entry.expression,
        entry.sentence,
        entry.missing,
        entry.family,
        entry.unit,
        sentence_zh=entry.sentence_zh,
        missing_zh=entry.missing_zh,
    )


def _last_days(last: timedelta | None) -> int:
    return 0 if last is None else _whole_days(last, least=1)


def _weeks(weeks: int) -> int:
    if not 1 <= weeks <= WEEKS:
        raise BadInput(f"weeks={weeks}: expected 1 to {WEEKS}.")
    return weeks


def _whole_days(span: timedelta, *, least: int) -> int:
    whole = span // timedelta(days=1)
    if span != days(whole) or whole < least:
        raise BadInput(
            f"a span of {span / timedelta(days=1):g} days; expected at least {least} whole days before the cutoff, "
            "for example days(28)."
        )
    return whole
