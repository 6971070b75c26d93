"""Subscribers who pay by the month, visit ever more rarely before they leave, and say so."""

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

USERS = 260
DAYS = 260.0
MONTH = 30.0
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Deed:
    day: float
    kind: str
    value: float


def subscribers() -> dict[str, list[Deed]]:
    """Who leaves visits ever more rarely before; some who left come back; everybody pays by the month while there."""
    dice = random.Random(5)  # noqa: S311 no secret
    found: dict[str, list[Deed]] = {}
    for user in range(USERS):
        deeds = found[f"user{user}"] = []
        day = dice.uniform(0, 60)
        while day < DAYS:
            leaves = day + dice.expovariate(1 / 120)
            deeds += subscription(dice, day, leaves)
            day = leaves + dice.expovariate(1 / 150)
        deeds.sort(key=lambda deed: deed.day)
    return found


def subscription(dice: random.Random, start: float, leaves: float) -> list[Deed]:
    deeds, day = [Deed(start, "subscribe", 0)], start
    while day < leaves:
        deeds.append(Deed(day, "renewal", 9.0))
        day += MONTH
    day = start
    while (day := day + dice.expovariate(1 / (2 if leaves - day > 30 else 9))) < leaves:
        deeds.append(Deed(day, "visit", dice.choice([1.0, 8.0])))
    return [deed for deed in [*deeds, Deed(leaves, "cancel", 0)] if deed.day < DAYS]


def when(day: float) -> datetime:
    return BEGIN + timedelta(days=day)


def write_log(file: Path, history: Mapping[str, Sequence[Deed]]) -> Path:
    """The file of events; a renewal says for how many days it pays and until when."""
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["user_id", "time", "event", "value", "plan_days", "expires"])
        for user, deeds in history.items():
            for deed in deeds:
                pays = [int(MONTH), when(deed.day + MONTH).isoformat()] if deed.kind == "renewal" else ["", ""]
                rows.writerow([user, when(deed.day).isoformat(), deed.kind, deed.value, *pays])
    return file
