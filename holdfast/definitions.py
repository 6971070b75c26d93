"""From the settings of `[churn]` to a definition; what does not go together, or not with the log, is refused."""

from collections.abc import Collection, Iterator
from dataclasses import fields

from features.errors import BadInput
from features.paid import Renewals
from features.summary import LogSummary
from holdfast.settings import Churn
from models.cancel import Cancel
from models.definition import OUTCOMES, SILENCE, ChurnDefinition, Outcome
from models.lapse import Lapse

_OF_KIND = {
    "cancel": ("cancel", "starts"),
    "lapse": ("renewal", "period_days", "paid_days", "paid_until", "grace"),
}
_PAYS = ("period_days", "paid_days", "paid_until")


def definition_of(churn: Churn) -> ChurnDefinition:
    """The definition that the settings mean; raises `BadInput` for an unknown kind and for settings of another kind."""
    return ChurnDefinition(
        activity=churn.activity,
        look_back=churn.look_back,
        lead_time=churn.lead_time,
        horizon=churn.horizon,
        most_events_a_day=churn.most_events_a_day,
        least_value=churn.least_value,
        outcome=_outcome(churn),
    )


def renewals_of(meant: ChurnDefinition) -> Renewals | None:
    """What pays for a while by the definition; none where payments do not decide."""
    return meant.outcome.renewals if isinstance(meant.outcome, Lapse) else None


def check_definition(meant: ChurnDefinition, summary: LogSummary) -> None:
    """Raise `BadInput` when the definition names a kind of event or a property that the log has not got."""
    for setting, kinds in meant.named_kinds.items():
        check_kinds(kinds, summary, said_by=f"--{setting}")
    known = [each.name for each in summary.properties]
    unknown = sorted(set(meant.population.wanted.properties) - set(known))
    if unknown:
        raise BadInput(
            f"no event of the log has the property {', '.join(map(repr, unknown))}, which is to say for how long a "
            f"renewal pays; expected one of {', '.join(map(repr, known[:20])) or 'none: the log has no properties'}."
        )


def check_kinds(named: Collection[str], summary: LogSummary, *, said_by: str = "--activity") -> None:
    """Raise `BadInput` when the definition or a feature names a kind of event that the log has not got."""
    known = [kind.name for kind in summary.kinds]
    unknown = sorted(kind for kind in named if kind not in known)
    if unknown:
        raise BadInput(
            f"the log has no events of kind {', '.join(map(repr, unknown))}; "
            f"expected {said_by} to name some of {', '.join(map(repr, known[:20]))}."
        )


def _outcome(churn: Churn) -> Outcome:
    if churn.kind not in OUTCOMES:
        raise BadInput(f"[churn] kind is {churn.kind!r}; expected {', '.join(OUTCOMES)}.")
    for key, owner in _strangers(churn):
        raise BadInput(
            f'[churn] {key} is set, and kind is "{churn.kind}"; expected kind = "{owner}", or none of '
            f"{', '.join(_OF_KIND[owner])}."
        )
    if churn.kind == "cancel":
        return _cancel(churn)
    return _lapse(churn) if churn.kind == "lapse" else SILENCE


def _strangers(churn: Churn) -> Iterator[tuple[str, str]]:
    """The settings that are not at their default and belong to another kind, with that kind."""
    defaults = {field.name: field.default for field in fields(Churn)}
    for owner, keys in _OF_KIND.items():
        if owner != churn.kind:
            yield from ((key, owner) for key in keys if getattr(churn, key) != defaults[key])


def _cancel(churn: Churn) -> Cancel:
    if not churn.cancel:
        raise BadInput(
            '[churn] kind is "cancel" and no kind of event is named that ends a subscription; '
            'expected for example cancel = ["cancel"].'
        )
    return Cancel(churn.cancel, starts=churn.starts)


def _lapse(churn: Churn) -> Lapse:
    if not churn.renewal:
        raise BadInput(
            '[churn] kind is "lapse" and no kind of event is named that pays for a while; '
            'expected for example renewal = ["renewal"].'
        )
    said = [key for key in _PAYS if getattr(churn, key)]
    if len(said) != 1:
        found = " and ".join(said) or "none of them"
        raise BadInput(
            f"[churn] {', '.join(_PAYS)}: found {found}; expected exactly one to say for how long a renewal pays, "
            'for example period_days = 30, or paid_until = "expires".'
        )
    how = {key: getattr(churn, key) for key in said}
    return Lapse(Renewals(churn.renewal, **how, grace=churn.grace))
