"""What the HTTP service needs to know to run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from features.errors import BadInput
from serving.house_rules import NO_RULES, HouseRules
from serving.logs import LOG_FORMATS, LogFormat

LONGEST_KEY_MEMORY_SECONDS = 5.0  # a revoked key must stop working within this


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Where a tenant's champion and events lie on this machine: what scores of this moment are computed from."""

    champion: Path
    events: Path


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
    max_open_requests: int = 8192  # a worker; idle connections count until header_timeout_seconds have passed
    shutdown_seconds: int = 30  # requests under way may take this long to finish
    key_memory_seconds: float = 4.0
    access_log: bool = True
    log_format: LogFormat = "logfmt"
    drain_seconds: float = 0.0  # between being told to stop and doing so; /readyz says it meanwhile
    max_upload_bytes: int = 200_000_000  # of addresses that read a body as it arrives
    max_in_flight: int = 256  # requests that a worker answers at a time; more are refused at once
    reads_a_minute: int = 0  # by one key in one worker; 0: no limit
    bulk_reads_a_minute: int = 0
    writes_a_minute: int = 0
    audit_days: int = 90  # 0: nothing is noted
    idempotency_hours: float = 24.0
    cors_origins: tuple[str, ...] = ()  # pages of these may ask from a browser
    stale_days: float = 7.0  # events that came in longer ago say nothing about today
    jobs_folder: Path | None = None  # of the files of bulk jobs, shared by all workers; None: one for temporary files
    folders: Mapping[str, DataFolder] = field(default_factory=dict)  # by tenant; without one nothing is computed
    rules: HouseRules = NO_RULES

    def __post_init__(self) -> None:
        ranges = {
            "port": (self.port, 0, 65_535),
            "workers": (self.workers, 1, 64),
            "max_body_bytes": (self.max_body_bytes, 1_000, 100_000_000),
            "body_timeout_seconds": (self.body_timeout_seconds, 0.1, 600),
            "header_timeout_seconds": (self.header_timeout_seconds, 0.1, 60),
            "max_open_requests": (self.max_open_requests, 1, 100_000),
            "drain_seconds": (self.drain_seconds, 0, 600),
            "shutdown_seconds": (self.shutdown_seconds, 1, 1800),
            "stale_days": (self.stale_days, 0, 3650),
            "max_upload_bytes": (self.max_upload_bytes, 1_000, 100_000_000_000),
            "max_in_flight": (self.max_in_flight, 1, 100_000),
            "reads_a_minute": (self.reads_a_minute, 0, 10_000_000),
            "bulk_reads_a_minute": (self.bulk_reads_a_minute, 0, 10_000_000),
            "writes_a_minute": (self.writes_a_minute, 0, 10_000_000),
            "audit_days": (self.audit_days, 0, 3650),
            "idempotency_hours": (self.idempotency_hours, 0.01, 720),
            "key_memory_seconds": (self.key_memory_seconds, 0, LONGEST_KEY_MEMORY_SECONDS),
        }
        if self.log_format not in LOG_FORMATS:
            raise BadInput(f"[serve] log_format is {self.log_format!r}; expected {' or '.join(LOG_FORMATS)}.")
        for name, (value, lowest, highest) in ranges.items():
            if not lowest <= value <= highest:
                raise BadInput(f"[serve] {name} is {value}; expected {lowest} to {highest}.")
