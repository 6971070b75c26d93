"""Writes the events of a small invented shop as CSV: what the pages of this folder are shown on.

python docs/example_shop.py > shop.csv
"""

import csv
import random
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

CUSTOMERS = 900
DAYS = 364
BEGIN = datetime(2025, 1, 1)  # noqa: DTZ001 the shop writes local times, and the pages say what to do about it
BROKEN = (
    ["", "2025-02-03T10:00:00", "purchase", "12.50"],
    ["c0007", "2025-13-01T10:00:00", "purchase", "12.50"],
    ["c0008", "2025-02-03T10:00:00", "purchase", "twelve"],
)


def rows() -> Iterator[list[str]]:
    """One row an event, and three rows that no shop should write."""
    dice = random.Random(2025)  # noqa: S311 no secret
    for number in range(1, CUSTOMERS + 1):
        yield from _customer(f"c{number:04}", dice)
    yield from BROKEN


def _customer(name: str, dice: random.Random) -> Iterator[list[str]]:
    """Visits at the customer's own pace, which slows down before they stop; some visits end in a purchase."""
    day, gap = dice.uniform(0, 150), 2 * 10 ** dice.random()
    leaves = day + dice.expovariate(1 / 220)
    while day < min(leaves, DAYS):
        tired = 1 + max(0.0, 1 - (leaves - day) / 45)  # doubles in the last weeks
        yield _row(name, day, "visit")
        if dice.random() < 0.5 / tired**2:
            yield _row(name, day + 0.01, "purchase", amount=dice.lognormvariate(3, 0.6))
        if dice.random() < 0.02 * tired**2:
            yield _row(name, day + 0.02, "complaint")
        day += dice.gammavariate(5, gap * tired / 5)


def _row(name: str, day: float, kind: str, *, amount: float | None = None) -> list[str]:
    moment = BEGIN + timedelta(days=day)
    return [name, f"{moment:%Y-%m-%dT%H:%M:%S}", kind, "" if amount is None else f"{amount:.2f}"]


if __name__ == "__main__":
    csv.writer(sys.stdout, lineterminator="\n").writerows([["customer", "ts", "kind", "amount"], *rows()])
