"""A shop whose customers come more often in one half of the year than in the other."""

import numpy as np


def seasons(*, amplitude: float, users: int = 700, length: int = 700) -> list[tuple[str, float]]:
    """Visits whose rate goes up and down with the year; who has left is followed by somebody new."""
    draws = np.random.default_rng(3)
    rows = []
    for place in range(users):
        day, part, gone = float(draws.uniform(0, 30)), 0, float(draws.exponential(250))
        pace = float(draws.gamma(3.0, 6.0)) + 3.0
        while day < length:
            if day > gone:
                part, gone, pace = part + 1, day + float(draws.exponential(250)), float(draws.gamma(3.0, 6.0)) + 3.0
            rows.append((f"user-{place:03d}-{part}", day))
            day += float(draws.exponential(pace)) / (1 + amplitude * np.sin(2 * np.pi * day / 364)) + 0.01
    return rows
