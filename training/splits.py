"""Which cutoffs are learnt from, calibrated on and tested on: by time, never at random.

Each step's horizons are over before the next step's cutoff, as they would be in real use:

    stopping  →  validation, rehearsal  →  calibration, fit  →  test, deployed fit

The steps are one horizon (and lead time) apart, counted back from the oldest test cutoff. The trees are grown on
`stopping` and stopped by `validation`. The rehearsal is the same recipe one horizon earlier: its predictions on the
`calibration` cutoff, the newest whose outcome was known, are what probabilities are corrected by. The tested model
is then fitted on everything closed before the test, the calibration cutoff included: in a population that changes,
the newest outcomes are worth more than a clean room (measured: .032 log loss on a network that dies out).
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
STEPS = ("stopping", "validation", "rehearsal", "calibration", "fit", "test", "deployed_fit")
STRIP = 56  # characters of the timeline's strips


@dataclass(frozen=True, slots=True)
class Split:
    """The cutoffs of every step, oldest first; an empty `stopping` means that the number of trees is fixed.

    `deployed_fit` is the deployed model's: the same recipe, moved forward to the newest closed outcomes. It is
    calibrated on what the tested model said at the newest test cutoff.
    """

    definition: ChurnDefinition
    stopping: Cutoffs
    validation: Cutoffs
    rehearsal: Cutoffs
    calibration: Cutoffs
    fit: Cutoffs
    test: Cutoffs
    deployed_fit: Cutoffs

    @property
    def all(self) -> Cutoffs:
        """Every cutoff that any step needs, once, oldest first."""
        steps = (self.rehearsal, self.fit, self.test, self.deployed_fit)
        return tuple(sorted({cutoff for step in steps for cutoff in step}))

    def closes(self, cutoffs: Cutoffs) -> datetime:
        """When the last of these cutoffs' horizons is over."""
        return self.definition.horizon_of(max(cutoffs)).end

    def says(self) -> list[str]:
        """The split as a timeline: `|` a cutoff, `=` cutoff after cutoff, `-` the horizon after the last."""
        return [self._line(name, cutoffs) for name, cutoffs in self.steps().items() if cutoffs]

    def steps(self) -> dict[str, Cutoffs]:
        """The cutoffs of each step by what is done with them, in the order of doing."""
        return {
            "trees grown on": self.stopping,
            "trees stopped by": self.validation,
            "rehearsal": self.rehearsal,
            "calibration": self.calibration,
            "fit": self.fit,
            "test": self.test,
            "deployed: fit": self.deployed_fit,
            "deployed: calibration": self.test[-1:],
        }

    def in_brief(self) -> dict[str, str]:
        """How many cutoffs each step has, and from when to when."""
        return {
            name: f"{len(dates)}: {dates[0][:10]} to {dates[-1][:10]}"
            for name, dates in self.to_json().items()
            if dates
        }

    def to_json(self) -> dict[str, list[str]]:
        """The cutoffs of each step as ISO 8601 texts."""
        return {name: [iso(cutoff) for cutoff in getattr(self, name)] for name in STEPS}

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
    newest = _checked_newest(definition, newest=newest, start=start, end=end)
    step = step or (days(2) if definition.horizon <= SHORT_HORIZON else days(7))
    earliest = shift(start, definition.look_back)
    test = _back(newest, step=step, earliest=earliest, most=test_cutoffs or RICH_TESTS)
    split = _chain(definition, test, step=step, earliest=earliest, most=max_cutoffs)
    if test_cutoffs is None and len(split.fit) < max_cutoffs:
        split = _chain(definition, test[-1:], step=step, earliest=earliest, most=max_cutoffs)
    if not split.rehearsal:
        span = definition.lead_time + definition.horizon
        spent = step * ((test_cutoffs or 1) - 1)
        raise BadInput(_too_short(definition, start=start, end=shift(newest, span), test_span=spent))
    return split


def before(
    definition: ChurnDefinition, test: Cutoffs, *, start: datetime, step: timedelta, max_cutoffs: int = 60
) -> Split:
    """The split for test cutoffs of one's own choice, oldest first, as a published protocol may ask for."""
    return _chain(definition, test, step=step, earliest=shift(start, definition.look_back), most=max_cutoffs)


def _chain(definition: ChurnDefinition, test: Cutoffs, *, step: timedelta, earliest: datetime, most: int) -> Split:
    """Every step before these test cutoffs; empty where the history does not reach."""
    span = definition.lead_time + definition.horizon
    fit = _back(shift(test[0], -span), step=step, earliest=earliest, most=most) if test else ()
    rehearsal = _closed_before(fit[-1:], fit, definition)
    if fit and not rehearsal:  # in a history that has room for one cutoff a step, it need not be on the others' grid
        rehearsal = _back(shift(fit[-1], -span), step=span, earliest=earliest, most=1)
    stopping = _closed_before(rehearsal[-1:], fit, definition)
    later = _back(test[-1], step=step, earliest=fit[-1], most=most) if fit else ()
    return Split(
        definition,
        stopping=stopping,
        validation=rehearsal[-1:] if stopping else (),
        rehearsal=rehearsal,
        calibration=fit[-1:],
        fit=fit,
        test=test,
        deployed_fit=tuple(sorted({*fit, *later}))[-most:],
    )


def _closed_before(next_step: Cutoffs, cutoffs: Cutoffs, definition: ChurnDefinition) -> Cutoffs:
    """Those cutoffs whose horizon is over when the next step begins."""
    return tuple(cutoff for cutoff in cutoffs if next_step and definition.horizon_of(cutoff).end <= next_step[0])


def _checked_newest(
    definition: ChurnDefinition, *, newest: datetime | None, start: datetime, end: datetime
) -> datetime:
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
    if newest <= start:
        raise BadInput(
            f"the cutoff {iso(newest)} lies before the log, which begins {iso(start)}; expected a later one."
        )
    return newest


def _back(newest: datetime, *, step: timedelta, earliest: datetime, most: int) -> Cutoffs:
    """At most so many cutoffs back from the newest; none when it lies before the earliest."""
    if newest < earliest:
        return ()
    return tuple(cutoffs_back_from(newest, every=step, earliest=earliest))[-most:]


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
