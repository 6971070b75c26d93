"""The steps of `holdfast define`: ask the log what churn should mean, draw it, and write what was chosen."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path

from features.errors import BadInput
from features.log import EventLog
from features.windows import format_span
from holdfast import config, output, steps
from holdfast.files import replacing
from holdfast.session import Session
from holdfast.settings import Churn
from holdfast.toml_keys import Value, with_keys
from models.definition import ChurnDefinition
from training.define import Assistance, assist

JUDGED = "inactivity"  # the kind of definition that silence says something about
DOCUMENT, REPORT = "definition.json", "definition.txt"
_DPI = 130


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    spans: Sequence[tuple[timedelta, timedelta]]
    gone_after: timedelta | None
    until: datetime | None
    to: Path | None
    write: bool


@dataclass(frozen=True, slots=True, eq=False)
class Defined:
    """What was found, and what was written."""

    found: Assistance
    log_version: int
    files: tuple[Path, ...]  # pictures, document and report
    written: Path | None  # the configuration file that holds the definition now


def define(session: Session, asked: Asked) -> Defined:
    """Ask the log; with a folder draw what it says, and write the recommended definition where that was asked for."""
    meant = _meant(session)
    log = EventLog.open(session.folder.events)
    with session.progress.stage("Asking the log") as report:
        found = assist(
            log,
            activity=meant.activity,
            least_value=meant.least_value,
            lead_time=meant.lead_time,
            most_events_a_day=meant.most_events_a_day,
            spans=asked.spans,
            in_force=meant,
            gone_after=asked.gone_after,
            until=asked.until,
            workers=steps.threads(session),
            on_progress=lambda what, done, total: report(done, total, what),
        )
    files: tuple[Path, ...] = ()
    if asked.to is not None:
        with session.progress.stage("Drawing"):
            files = draw(found, asked.to)
    chosen = found.recommendation.definition
    written = write(session, chosen) if asked.write and chosen is not None else None
    return Defined(found, log.version, files, written)


def draw(found: Assistance, folder: Path) -> tuple[Path, ...]:
    """The files written into the folder: a picture each, one JSON document, the report."""
    from training.define_plots import figures  # noqa: PLC0415 matplotlib, only for who wants pictures

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures(found).items():
        with replacing(folder / f"{name}.png") as unfinished:
            figure.savefig(unfinished, format="png", dpi=_DPI)
        paths.append(folder / f"{name}.png")
    for name, text in ((DOCUMENT, output.to_json(found.to_json())), (REPORT, found.says())):
        with replacing(folder / name) as unfinished:
            unfinished.write_text(f"{text}\n", "utf-8")
        paths.append(folder / name)
    return tuple(paths)


def write(session: Session, chosen: ChurnDefinition) -> Path:
    """Put a definition into [churn] of the configuration file, which `holdfast init` would write if there is none."""
    file = session.resolved.source or Path.cwd() / config.FILE_NAME
    before = file.read_text("utf-8") if file.exists() else config.template()
    try:
        after = with_keys(before, "churn", _to_write(chosen, file=file))
    except BadInput as error:
        raise BadInput(f"{file}: {error}") from None
    with replacing(file) as unfinished:
        unfinished.write_text(after, "utf-8")
    return file


def _meant(session: Session) -> ChurnDefinition:
    """The definition in force; raises `BadInput` where churn is something else than silence."""
    meant = steps.definition(session)
    kind = meant.to_json()["kind"]
    if kind != JUDGED:
        raise BadInput(
            f"[churn] kind is {kind!r}, which an event decides; expected {JUDGED!r}, the kind that days of silence "
            f"decide, for example --churn-kind {JUDGED}."
        )
    return meant


def _to_write(chosen: ChurnDefinition, *, file: Path) -> dict[str, Value]:
    """The keys that the file does not say so already, as TOML has them; spans always, because they were chosen."""
    said = config.resolve({}, environment={}, folder=file.parent, file=file if file.exists() else None)
    wanted: dict[str, Value] = {
        "kind": JUDGED,
        "activity": list(chosen.activity),
        "least_value": chosen.least_value,
        "look_back": format_span(chosen.look_back),
        "lead_time": format_span(chosen.lead_time),
        "horizon": format_span(chosen.horizon),
        "most_events_a_day": chosen.most_events_a_day,
    }
    known = {field.name: getattr(said.settings.churn, field.name) for field in fields(Churn)}
    return {
        key: value
        for key, value in wanted.items()
        if key in {"look_back", "horizon"} or (key in known and _plain(known[key]) != value)
    }


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return format_span(value)
    return sorted(value) if isinstance(value, tuple) else value
