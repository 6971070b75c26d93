"""The rules of the house as the settings say them, for whoever scores and for the service."""

from holdfast.session import Session
from serving.house_rules import HouseRules, Worth


def house_rules(session: Session) -> HouseRules:
    """Who gets no score, whom nobody may contact, and what users are worth by the settings."""
    said, costs = session.settings.score, session.settings.costs
    return HouseRules(
        opted_out=said.opted_out,
        no_contact=said.no_contact,
        least_history=said.least_history,
        worth=Worth(costs.value, costs.value_days),
    )
