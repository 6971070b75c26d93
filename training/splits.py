"""Which cutoffs are learnt from, calibrated on and tested on: by time, never at random.

Each step's horizons are over before the next step's cutoff, as they would be in real use:

    fit (the newest of it also stops the trees)  →  calibration  →  test

The steps are one horizon (and lead time) apart, counted back from the oldest test cutoff.
When the history is too short for the whole chain, the first thing given up is the separate validation (the number
of trees is then fixed); below that there is no honest test, and `plan` says so.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from features.errors import BadInput
from features.windows import cutoffs_back_from, days, format_span, iso, shift
from models.definition import ChurnDefinition

Cutoffs = tuple[datetime, ...]
SHORT_HORIZON = days(14)  # up to here cutoffs are taken every two days: a short history still gives many
RICH_TESTS = 4  # test cutoffs where nothing is lost by more than one
STRIP = 56  # characters of the timeline's strips


@dataclass(frozen=True, slots=True)
class Split:
    """The cutoffs of every step, oldest first; an empty `stopping` means that the number of trees is fixed.

    `stopping` and `validation` lie within the older and the newest part of `fit`. `refit` and `recalibration` are
    the deployed model's: the same recipe, moved forward to the newest closed outcomes.
    """

    definition: ChurnDefinition
    stopping: Cutoffs
    validation: Cutoffs
    fit: Cutoffs
    calibration: Cutoffs
    test: Cutoffs
    refit: Cutoffs
    recalibration: Cutoffs

    @property
    def all(self) -> Cutoffs:
        """Every cutoff that any step needs, once, oldest first."""
        steps = (self.fit, self.calibration, self.test, self.refit, self.recalibration)
        return tuple(sorted({cutoff for step in steps for cutoff in step}))

    def closes(self, cutoffs: Cutoffs) -> datetime:
        """When the last of these cutoffs' horizons is over."""
        return self.definition.horizon_of(max(cutoffs)).end

    def says(self) -> list[str]:
        """The split as a timeline: `|` a cutoff, `=` cutoff after cutoff, `-` the horizon after the last."""
        steps = {
            "fit": self.fit,
            "- trees grown on": self.stopping,
            "- trees stopped by": self.validation,
            "calibration": self.calibration,
            "test": self.test,
            "deployed: fit": self.refit,
            "deployed: calibration": self.recalibration,
        }
        return [self._line(name, cutoffs) for name, cutoffs in steps.items() if cutoffs]

    def in_brief(self) -> dict[str, str]:
        """How many cutoffs each step has, and from when to when."""
        return {
            name: f"{len(dates)}: {dates[0][:10]} to {dates[-1][:10]}"
            for name, dates in self.to_json().items()
            if dates
        }

    def to_json(self) -> dict[str, list[str]]:
        """The cutoffs of each step as ISO 8601 texts."""
        names = ("stopping", "validation", "fit", "calibration", "test", "refit", "recalibration")
        return {name: [iso(cutoff) for cutoff in getattr(self, name)] for name in names}

    def _line(self, name: str, cutoffs: Cutoffs) -> str:
        first, last = self._place(min(cutoffs)), self._place(max(cutoffs))
        run = "|" + "=" * (last - first - 1) + "|" * (last > first)
        strip = " " * first + run + "-" * (self._place(self.closes(cutoffs)) - last - 1)
        oldest, newest = iso(min(cutoffs))[:10], iso(max(cutoffs))[:10]
        when = oldest if oldest == newest else f"{oldest} to {newest}"
        return f"{name:<22}{len(cutoffs):>3}  {when:<24}  {strip}"

    def _place(self, moment: datetime) -> int:
        """Where on the strip a moment lies."""
        start, end = min(self.all), self.closes(self.all)
        return int((moment - start) / (end - start) * STRIP)


def plan(
    definition: ChurnDefinition,
    *,
    start: datetime,
    end: datetime,
    newest: datetime | None = None,
    step: timedelta | None = None,
    max_cutoffs: int = 60,
    test_cutoffs: int | None = None,
) -> Split:
    """The split of a log that reaches from `start` to `end`.

    `newest` is the last cutoff to test on: by default the last whose horizon is over. `step` is the distance between
    cutoffs: by default a week, or two days where the horizon is at most a fortnight. Without `test_cutoffs`, one is
    tested on, and four where the history is so rich that `max_cutoffs` remain to fit on.
    Raises `BadInput` when the horizon of `newest` is open or the history is too short.
    """
    span = definition.lead_time + definition.horizon
    newest = _checked_newest(definition, newest=newest, end=end)
    step = step or (days(2) if definition.horizon <= SHORT_HORIZON else days(7))
    earliest = shift(start, definition.look_back)
    test = _back(newest, step=step, earliest=earliest, most=test_cutoffs or RICH_TESTS)
    fit = _fit_cutoffs(test, span=span, step=step, earliest=earliest, most=max_cutoffs)
    if test_cutoffs is None and len(fit) < max_cutoffs:
        test = test[-1:]
        fit = _fit_cutoffs(test, span=span, step=step, earliest=earliest, most=max_cutoffs)
    if not fit:
        spent = step * ((test_cutoffs or 1) - 1)
        raise BadInput(_too_short(definition, start=start, end=shift(newest, span), test_span=spent))
    calibration, newest_fit = shift(test[0], -span), fit[-1]
    stopping = tuple(cutoff for cutoff in fit if definition.horizon_of(cutoff).end <= newest_fit)
    later = _back(shift(newest, -span), step=step, earliest=shift(newest_fit, days(1)), most=max_cutoffs)
    return Split(
        definition,
        stopping=stopping,
        validation=(newest_fit,) if stopping else (),
        fit=fit,
        calibration=(calibration,),
        test=test,
        refit=tuple(sorted({*fit, calibration, *later}))[-max_cutoffs:],
        recalibration=(newest,),
    )


def _checked_newest(definition: ChurnDefinition, *, newest: datetime | None, end: datetime) -> datetime:
    """The newest test cutoff: the asked one when its horizon is over, by default the last closed one."""
    last_closed = shift(end, -(definition.lead_time + definition.horizon))
    if newest is None:
        return last_closed
    if newest > last_closed:
        raise BadInput(
            f"the outcome at cutoff {iso(newest)} is not known yet: its horizon ends "
            f"{iso(definition.horizon_of(newest).end)} and the log ends {iso(end)}; "
            f"expected a cutoff no later than {iso(last_closed)}."
        )
    return newest


def _back(newest: datetime, *, step: timedelta, earliest: datetime, most: int) -> Cutoffs:
    """At most so many cutoffs back from the newest; none when it lies before the earliest."""
    if newest < earliest:
        return ()
    return tuple(cutoffs_back_from(newest, every=step, earliest=earliest))[-most:]


def _fit_cutoffs(test: Cutoffs, *, span: timedelta, step: timedelta, earliest: datetime, most: int) -> Cutoffs:
    """The cutoffs to fit on, two horizons before the oldest test cutoff: the calibration lies in between."""
    return _back(shift(test[0], -2 * span), step=step, earliest=earliest, most=most) if test else ()


def _too_short(definition: ChurnDefinition, *, start: datetime, end: datetime, test_span: timedelta) -> str:
    span = definition.lead_time + definition.horizon
    need = definition.look_back + 3 * span + test_span
    have = (end - start) // days(1)
    return (
        f"the history is too short to train and test honestly: {have} days "
        f"from {iso(start)[:10]} to {iso(end)[:10]}, "
        f"expected at least {-(-need // days(1))} (look-back {format_span(definition.look_back)} + 3 x lead time and "
        f"horizon {format_span(span)}: one each to fit, calibrate and test). "
        f"{_would_fit(definition, have=have - test_span.days)}"
    )


def _would_fit(definition: ChurnDefinition, *, have: int) -> str:
    """A shorter definition that the history allows, changing as little as possible."""
    look_back, lead, horizon = definition.look_back.days, definition.lead_time.days, definition.horizon.days
    if have - 3 * (lead + horizon) >= horizon:
        return f"A look-back of {have - 3 * (lead + horizon)}d would fit."
    if (have - look_back) // 3 - lead >= max(1, horizon // 2):
        return f"A horizon of {(have - look_back) // 3 - lead}d would fit."
    shorter = (have - 3 * lead) // 5  # two parts look-back, three horizons
    if shorter >= 1:
        return f"A look-back of {2 * shorter}d with a horizon of {shorter}d would fit."
    return "No look-back and horizon of whole days fit: collect more events first."
