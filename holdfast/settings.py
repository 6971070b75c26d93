"""The one table of settings: name, type, default and meaning of each.

The commented file of `holdfast init`, the names in the environment, the options of the
commands and docs/settings.md are all made from these classes; see `holdfast.config`.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from holdfast.setting import setting
from holdfast.training_settings import Costs, Gate, Train


@dataclass(frozen=True, slots=True)
class Data:
    """Where everything that Holdfast keeps lives."""

    dir: str = setting(
        "holdfast-data",
        "folder of the event log, the models and the scores; relative to the file that says so",
        option="--data-dir",
        metavar="FOLDER",
    )


@dataclass(frozen=True, slots=True)
class Ingest:
    """What the columns of your event files are called, and how to read them."""

    user_id: str = setting("user_id", "column with the user's id", metavar="COLUMN")
    time: str = setting("time", "column with the time of the event", metavar="COLUMN")
    event: str = setting("event", "column with the kind of event", metavar="COLUMN")
    value: str = setting("value", "column with a number, such as an amount; may be absent", metavar="COLUMN")
    event_id: str = setting(
        "event_id", "column with an id of the event, for de-duplication; may be absent", metavar="COLUMN"
    )
    received_at: str = setting(
        "received_at", "column with the time when the event became known; may be absent", metavar="COLUMN"
    )
    event_constant: str = setting(
        "", "the kind of every event, for files without a column for it", example="purchase", metavar="KIND"
    )
    timezone: str = setting(
        "",
        "zone of times that carry no offset; without it such times are refused",
        example="Europe/Berlin",
        metavar="ZONE",
    )
    time_format: str = setting(
        "",
        "format of times that are not ISO 8601: a pattern, unix-s or unix-ms",
        example="%d.%m.%Y %H:%M",
        metavar="FORMAT",
    )
    format: str = setting(
        "", "csv, ndjson or parquet, where the file's name does not say", example="csv", metavar="NAME"
    )


@dataclass(frozen=True, slots=True)
class Churn:
    """What churn means here: by default active in the look-back, then silent for the whole horizon."""

    definition: str = setting(
        "",
        "take [definitions.NAME] of holdfast.toml instead, which has the keys of this section and a model of its own",
        example="cancelled",
        metavar="NAME",
    )
    kind: str = setting(
        "inactivity",
        "inactivity (silent for the horizon), cancel (an event says so) or lapse (paid time runs out)",
        option="--churn-kind",
        metavar="WORD",
    )
    activity: tuple[str, ...] = setting(
        (), "kinds of event that count as being alive; none named: all of them", example='["purchase"]', metavar="KIND"
    )
    least_value: float = setting(
        0.0,
        "an event of smaller value, or of none, does not count as being alive; 0: every event counts",
        metavar="NUMBER",
    )
    look_back: timedelta = setting(
        timedelta(days=60), "who was active in so long before the cutoff is in the population", metavar="SPAN"
    )
    lead_time: timedelta = setting(
        timedelta(days=0), "from the cutoff to the start of the horizon: the time there is to act", metavar="SPAN"
    )
    horizon: timedelta = setting(
        timedelta(days=30),
        "how long somebody has to be silent to have churned, or in which span he cancels or lapses",
        metavar="SPAN",
    )
    most_events_a_day: int = setting(
        0, "who ever had more events on a day is left out as a machine (see features bots); 0: nobody", metavar="NUMBER"
    )
    cancel: tuple[str, ...] = setting(
        (), "for the kind cancel: kinds of event that end a subscription", example='["cancel"]', metavar="KIND"
    )
    starts: tuple[str, ...] = setting(
        (),
        "for the kind cancel: kinds of event that begin a subscription, the first or again; none named: any activity",
        example='["subscribe"]',
        metavar="KIND",
    )
    renewal: tuple[str, ...] = setting(
        (), "for the kind lapse: kinds of event that pay for a while", example='["renewal"]', metavar="KIND"
    )
    period_days: int = setting(0, "for the kind lapse: days that every renewal pays for", metavar="DAYS")
    paid_days: str = setting(
        "",
        "for the kind lapse: property of a renewal with the number of days that it pays for",
        example="plan_days",
        metavar="PROPERTY",
    )
    paid_until: str = setting(
        "",
        "for the kind lapse: property of a renewal with the date or instant until which is paid, in ISO 8601",
        example="expires",
        metavar="PROPERTY",
    )
    grace: timedelta = setting(
        timedelta(days=0),
        "for the kind lapse: so long after the paid time a renewal is still in time",
        metavar="SPAN",
    )


@dataclass(frozen=True, slots=True)
class Features:
    """What the model looks at."""

    file: str = setting(
        "",
        "a Python file with a feature set of your own; without it the standard catalogue",
        option="--features",
        example="my_features.py",
        metavar="FILE",
    )
    timezone: str = setting(
        "UTC",
        "by whose clock the standard catalogue tells hours and weekdays",
        option="--company-timezone",
        metavar="ZONE",
    )
    user_timezone: str = setting(
        "",
        "the property of the profiles that names the user's own time zone, which then goes before the company's",
        option="--user-timezone",
        example="timezone",
        metavar="PROPERTY",
    )
    service: tuple[str, ...] = setting(
        (),
        "kinds of event that are trouble, such as complaints; none named: recognised by common words",
        example='["complaint", "payment_failed"]',
        metavar="KIND",
    )
    treatments: tuple[str, ...] = setting(
        (),
        "kinds of event that the company did; none named: recognised by common words",
        example='["mailing"]',
        metavar="KIND",
    )
    redemptions: tuple[str, ...] = setting(
        (),
        "kinds of event that answer a treatment; none named: recognised by common words",
        example='["coupon_redemption"]',
        metavar="KIND",
    )
    returns: tuple[str, ...] = setting(
        (),
        "kinds of event that give back what was bought; none named: recognised by common words",
        example='["refund"]',
        metavar="KIND",
    )
    properties: tuple[str, ...] = setting(
        (),
        "properties whose texts are counted; none named: those that are worth it",
        example='["store_id"]',
        option="--property",
        metavar="NAME",
    )
    without: tuple[str, ...] = setting(
        (),
        "families and features of the standard set that are left out",
        example='["calendar", "days_since_first_event"]',
        metavar="NAME",
    )
    as_known: str = setting(
        "auto",
        "read only what had been received before a cutoff: yes, no, or auto, where the times of receipt can be trusted",
        metavar="WORD",
    )


@dataclass(frozen=True, slots=True)
class Compute:
    """How much of the machine is used."""

    threads: int = setting(0, "threads that compute features and trees; 0: one a processor", metavar="NUMBER")


@dataclass(frozen=True, slots=True)
class Score:
    """How the scored population is cut into tiers, and in which language reasons are told."""

    high: float = setting(0.10, "share of the population in the tier high, the most at risk", metavar="SHARE")
    medium: float = setting(0.20, "share of the population in the tier medium, the next after them", metavar="SHARE")
    language: str = setting("en", "language of the reasons: en or zh", metavar="LANGUAGE")
    opted_out: str = setting(
        "", "column of the profiles that is true for who must not be scored", example="no_profiling", metavar="COLUMN"
    )
    no_contact: str = setting(
        "", "column of the profiles that is true for who must not be contacted", example="no_mail", metavar="COLUMN"
    )
    least_history: timedelta = setting(
        timedelta(0), "who was first seen later than so long before the cutoff gets no score", metavar="SPAN"
    )
    keep_runs: int = setting(7, "runs that are kept, for the history of a user and for a rollback", metavar="NUMBER")


@dataclass(frozen=True, slots=True)
class Serve:
    """Where the API listens."""

    host: str = setting("127.0.0.1", "address to listen on; 0.0.0.0 for every interface", metavar="ADDRESS")
    port: int = setting(8000, "port to listen on", metavar="PORT")
    workers: int = setting(1, "processes that answer requests", metavar="NUMBER")
    max_body_bytes: int = setting(1_000_000, "a longer body of a request is refused", metavar="BYTES")
    body_timeout_seconds: float = setting(10.0, "a body has to arrive within this time", metavar="SECONDS")
    header_timeout_seconds: float = setting(10.0, "headers have to arrive within this time", metavar="SECONDS")
    max_open_requests: int = setting(
        8192, "open connections of one process, idle ones too; more have to wait", metavar="NUMBER"
    )
    shutdown_seconds: int = setting(30, "requests under way may take so long to finish at the end", metavar="SECONDS")
    key_memory_seconds: float = setting(4.0, "a revoked key stops working within this time", metavar="SECONDS")
    access_log: bool = setting(True, "write a line for each request to stderr", metavar="TRUTH")
    log_format: str = setting("logfmt", "shape of the log's lines: logfmt (key=value) or json", metavar="WORD")
    drain_seconds: float = setting(
        0.0,
        "after SIGTERM go on answering for so long, while /readyz says 503 and a balancer looks away",
        metavar="SECONDS",
    )
    max_upload_bytes: int = setting(
        200_000_000, "as max_body_bytes, for addresses that read a body as it arrives", metavar="BYTES"
    )
    max_in_flight: int = setting(
        256, "requests that one process answers at a time; more are told to come again", metavar="NUMBER"
    )
    reads_a_minute: int = setting(
        0, "requests for single answers that a key may make of one process; 0: no limit", metavar="NUMBER"
    )
    bulk_reads_a_minute: int = setting(0, "the same for lists, lookups and computations; 0: no limit", metavar="NUMBER")
    writes_a_minute: int = setting(0, "the same for requests that change something; 0: no limit", metavar="NUMBER")
    audit_days: int = setting(90, "how long the log of who read what is kept; 0: none is written", metavar="DAYS")
    idempotency_hours: float = setting(
        24.0, "how long the answer to a request with an Idempotency-Key is kept", metavar="HOURS"
    )
    cors_origins: tuple[str, ...] = setting(
        (),
        "web pages of these origins may ask from a browser; none named: no page may",
        option="--cors-origin",
        example='["https://crm.example.com"]',
        metavar="ORIGIN",
    )
    stale_days: float = setting(
        7.0, "no score of this moment from events when the newest came in longer ago", metavar="DAYS"
    )
    brands: tuple[str, ...] = setting(
        (),
        "further brands whose scores are computed on demand, with their data folders",
        option="--brand",
        example='["brand-b=/srv/brand-b"]',
        metavar="NAME=FOLDER",
    )


@dataclass(frozen=True, slots=True)
class Store:
    """Where scores and keys are kept for the API."""

    url: str = setting(
        "",
        "SQLAlchemy address; without it SQLite in the data folder",
        option="--store-url",
        example="sqlite:////srv/holdfast/store.db",
        metavar="URL",
    )
    tenant: str = setting(
        "", "brand whose scores and keys these are, where several share a store", example="brand-a", metavar="NAME"
    )


@dataclass(frozen=True, slots=True)
class Webhooks:
    """To whom new runs of scores may be told, and how (see `holdfast webhooks`)."""

    allow_http: bool = setting(False, "send to addresses without TLS too", metavar="TRUTH")
    private_hosts: tuple[str, ...] = setting(
        (),
        "hosts of your own to which is sent although their addresses are not of the public internet",
        option="--private-host",
        example='["crm.internal"]',
        metavar="HOST",
    )
    timeout_seconds: float = setting(10.0, "a receiver has to answer within this time", metavar="SECONDS")


@dataclass(frozen=True, slots=True)
class Mlflow:
    """Where runs and models are recorded."""

    tracking_uri: str = setting(
        "",
        "MLflow server; without it MLFLOW_TRACKING_URI, else SQLite in the data folder",
        example="https://mlflow.example.com",
        metavar="URI",
    )
    model: str = setting("holdfast", "name of the model in the registry", option="--model-name", metavar="NAME")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, by section of holdfast.toml."""

    data: Data = field(default_factory=Data)
    ingest: Ingest = field(default_factory=Ingest)
    churn: Churn = field(default_factory=Churn)
    features: Features = field(default_factory=Features)
    compute: Compute = field(default_factory=Compute)
    train: Train = field(default_factory=Train)
    gate: Gate = field(default_factory=Gate)
    costs: Costs = field(default_factory=Costs)
    score: Score = field(default_factory=Score)
    serve: Serve = field(default_factory=Serve)
    store: Store = field(default_factory=Store)
    webhooks: Webhooks = field(default_factory=Webhooks)
    mlflow: Mlflow = field(default_factory=Mlflow)
