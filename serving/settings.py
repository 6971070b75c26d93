"""What the HTTP service needs to know to run."""

from dataclasses import dataclass

from features.errors import BadInput

LONGEST_KEY_MEMORY_SECONDS = 5.0  # a revoked key must stop working within this


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Settings of the service; every one has a safe default but the store.

    Raises `BadInput` for a setting outside its range.
    """

    store_url: str
    host: str = "127.0.0.1"  # this machine only; put a TLS proxy before it to open it to others
    port: int = 8000
    workers: int = 1
    max_body_bytes: int = 1_000_000
    body_timeout_seconds: float = 10.0  # from the first byte of a body to its last
    header_timeout_seconds: float = 10.0
    max_open_requests: int = 1024  # a worker; idle connections count until header_timeout_seconds have passed
    shutdown_seconds: int = 30  # requests under way may take this long to finish
    key_memory_seconds: float = 4.0
    access_log: bool = True

    def __post_init__(self) -> None:
        ranges = {
            "port": (self.port, 0, 65_535),
            "workers": (self.workers, 1, 64),
            "max_body_bytes": (self.max_body_bytes, 1_000, 100_000_000),
            "body_timeout_seconds": (self.body_timeout_seconds, 0.1, 600),
            "header_timeout_seconds": (self.header_timeout_seconds, 0.1, 60),
            "max_open_requests": (self.max_open_requests, 1, 100_000),
            "shutdown_seconds": (self.shutdown_seconds, 1, 1800),
            "key_memory_seconds": (self.key_memory_seconds, 0, LONGEST_KEY_MEMORY_SECONDS),
        }
        for name, (value, lowest, highest) in ranges.items():
            if not lowest <= value <= highest:
                raise BadInput(f"[serve] {name} is {value}; expected {lowest} to {highest}.")
