"""What the company says about its users: who gets no score, whom nobody may contact, what they are worth."""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Worth:
    """What a user would bring: an amount, or what they spent in the look-back carried on for some days."""

    amount: float = 0.0  # of every user alike; 0: by what they spent
    carried_days: int = 0  # 0: the horizon


@dataclass(frozen=True, slots=True)
class HouseRules:
    """Who gets no score, whom nobody may contact, and what users are worth: the company's to say."""

    opted_out: str = ""  # column of the profiles that is true for who must not be scored
    no_contact: str = ""  # column of the profiles that is true for who must not be contacted
    least_history: timedelta = timedelta(0)  # from the first event; with less there is no score
    worth: Worth = field(default_factory=Worth)


NO_RULES = HouseRules()
