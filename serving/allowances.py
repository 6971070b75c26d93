"""How many requests a key may make a minute: a bucket of tokens for each key and kind of address, in each worker.

The general cell rate algorithm: one number a bucket, the moment at which it is full again. A library that counts in
shared memory or in a server would cost more than a score does.
"""

import math
from collections.abc import Mapping

from serving.refusals import RefusedError
from serving.rules import Rate

WINDOW_SECONDS = 60.0
_ROUNDING = 1e-5  # seconds; sums of many small times must not cost a token

Header = tuple[bytes, bytes]


class Allowances:
    """Buckets of `a_minute` tokens each, which fill evenly; 0: no limit. Told as IETF `RateLimit` headers."""

    def __init__(self, a_minute: Mapping[Rate, int]) -> None:
        self._sizes = {rate: size for rate, size in a_minute.items() if size}
        self._policies = {rate: f'"{rate}";q={size};w={WINDOW_SECONDS:.0f}' for rate, size in self._sizes.items()}
        self._full_at: dict[tuple[str, Rate], float] = {}

    def take(self, prefix: str, rate: Rate, *, tick: float) -> list[Header]:
        """Take a token from a key's bucket; the headers that say what is left, none where there is no limit.

        `tick` is a monotonic clock in seconds. Raises `RefusedError` (`rate_limited`) when the bucket is empty.
        """
        size = self._sizes.get(rate)
        if size is None:
            return []
        cost = WINDOW_SECONDS / size
        full_at = max(self._full_at.get((prefix, rate), 0.0), tick) + cost
        missing = full_at - tick
        if missing > WINDOW_SECONDS + _ROUNDING:
            raise self._refusal(rate, wait=missing - WINDOW_SECONDS)
        self._full_at[prefix, rate] = full_at
        left = int((WINDOW_SECONDS - missing + _ROUNDING) / cost)
        told = f'"{rate}";r={left};t={math.ceil(missing)}'
        return [(b"ratelimit", told.encode()), (b"ratelimit-policy", self._policies[rate].encode())]

    def _refusal(self, rate: Rate, *, wait: float) -> RefusedError:
        seconds = math.ceil(wait)
        return RefusedError(
            "rate_limited",
            f"this key may make {self._sizes[rate]:,} requests of the kind {rate!r} a minute; "
            f"try again in {seconds} s, as Retry-After says.",
            {
                "retry-after": str(seconds),
                "ratelimit": f'"{rate}";r=0;t={seconds}',
                "ratelimit-policy": self._policies[rate],
            },
        )
