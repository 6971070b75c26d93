"""The steps of `holdfast define`: ask the log what churn should mean, draw it, and write what was chosen.

Days of silence decide what inactivity means; where an event decides, there is nothing to recommend, and what is shown
is what the definitions come to. Several of them are held side by side at the same cutoffs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from pathlib import Path

from features.errors import BadInput
from features.log import EventLog
from features.windows import format_span
from holdfast import config, output, steps
from holdfast.definitions import check_definition, definition_of
from holdfast.files import replacing
from holdfast.session import Session
from holdfast.settings import Churn
from holdfast.toml_keys import Value, with_keys
from models.definition import ChurnDefinition
from training.define import Assistance, assist
from training.side_by_side import SideBySide, side_by_side

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

    found: Assistance | None  # none: an event decides, and silence says nothing about it
    sides: SideBySide | None  # none: there is but one definition, and silence decides it
    log_version: int
    files: tuple[Path, ...]  # pictures, document and report
    written: Path | None  # the configuration file that holds the definition now
    section: str  # of that file

    @property
    def recommended(self) -> ChurnDefinition | None:
        """What the log recommends, if it does."""
        return None if self.found is None else self.found.recommendation.definition

    @property
    def says(self) -> str:
        """The report."""
        return "\n\n".join(part.says() for part in (self.found, self.sides) if part is not None)

    def to_json(self) -> dict[str, object]:
        """Everything as plain JSON."""
        found = {} if self.found is None else self.found.to_json()
        return found | {"side_by_side": None if self.sides is None else self.sides.to_json()}


def define(session: Session, asked: Asked) -> Defined:
    """Ask the log; with a folder draw what it says, and write the recommended definition where that was asked for."""
    meant = steps.definition(session)
    is_judged = meant.outcome.kind == JUDGED
    if asked.write and not is_judged:
        raise BadInput(
            f"[{section_of(session)}] kind is {meant.outcome.kind!r}, which an event decides: days of silence "
            f"recommend nothing that could be written; expected {JUDGED!r}, for example --churn-kind {JUDGED}."
        )
    log = EventLog.open(session.folder.events)
    found = _assisted(session, log, meant, asked) if is_judged else None
    sides = _held(session, log, meant, asked.until)
    done = Defined(found, sides, log.version, (), None, section_of(session))
    if asked.to is not None:
        with session.progress.stage("Drawing"):
            done = replace(done, files=draw(done, asked.to))
    if asked.write and done.recommended is not None:
        done = replace(done, written=write(session, done.recommended))
    return done


def section_of(session: Session) -> str:
    """The section of holdfast.toml that says what is meant."""
    name = session.settings.churn.definition
    return f"{config.DEFINITIONS}.{name}" if name else config.CHURN


def _assisted(session: Session, log: EventLog, meant: ChurnDefinition, asked: Asked) -> Assistance:
    with session.progress.stage("Asking the log") as report:
        return assist(
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


def _held(session: Session, log: EventLog, meant: ChurnDefinition, until: datetime | None) -> SideBySide | None:
    """The definitions of the file side by side, as the command line says the one in force."""
    every = {name: definition_of(churn) for name, churn in session.resolved.definitions.items()}
    every |= {session.settings.churn.definition or config.CHURN: meant}
    if len(every) == 1 and meant.outcome.kind == JUDGED:
        return None
    summary = log.summary()
    for name, each in every.items():
        try:
            check_definition(each, summary)
        except BadInput as error:
            raise BadInput(f"the definition {name}: {error}") from None
    with session.progress.stage("Holding the definitions side by side") as report:
        return side_by_side(
            log,
            every,
            start=summary.start,
            end=until or summary.end,
            workers=steps.threads(session),
            on_progress=report,
        )


def draw(done: Defined, folder: Path) -> tuple[Path, ...]:
    """The files written into the folder: a picture each, one JSON document, the report."""
    from training import define_plots  # noqa: PLC0415 matplotlib, only for who wants pictures

    pictures = define_plots.of_definitions(done.found, done.sides)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in pictures.items():
        with replacing(folder / f"{name}.png") as unfinished:
            figure.savefig(unfinished, format="png", dpi=_DPI)
        paths.append(folder / f"{name}.png")
    for name, text in ((DOCUMENT, output.to_json(done.to_json())), (REPORT, done.says)):
        with replacing(folder / name) as unfinished:
            unfinished.write_text(f"{text}\n", "utf-8")
        paths.append(folder / name)
    return tuple(paths)


def write(session: Session, chosen: ChurnDefinition) -> Path:
    """Put a definition into its section of the configuration file, the one of `holdfast init` if there is none."""
    file = session.resolved.source or Path.cwd() / config.FILE_NAME
    before = file.read_text("utf-8") if file.exists() else config.template()
    try:
        after = with_keys(before, section_of(session), _to_write(session, chosen, file=file))
    except BadInput as error:
        raise BadInput(f"{file}: {error}") from None
    with replacing(file) as unfinished:
        unfinished.write_text(after, "utf-8")
    return file


def _to_write(session: Session, chosen: ChurnDefinition, *, file: Path) -> dict[str, Value]:
    """The keys that the file does not say so already, as TOML has them; spans always, because they were chosen."""
    named = {("churn", "definition"): session.settings.churn.definition}
    said = config.resolve(named, environment={}, folder=file.parent, file=file if file.exists() else None)
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
