"""What becomes of a training before it is recorded: held beside the champion, and written as a page."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import BadInput, UserError
from features.log import EventLog
from holdfast import steps
from holdfast.files import replacing
from holdfast.session import Session
from models.tiers import TierRule

if TYPE_CHECKING:
    from models.registry import Registry
    from training.run import Training


def check_target(target: Path | None) -> None:
    """Raise `BadInput` for a place where no page can be written, before any work is done."""
    if target is not None and not target.absolute().parent.is_dir():
        raise BadInput(f"--report {target}: there is no folder {target.parent}; make it, or name another place.")


def beside_champion(session: Session, log: EventLog, training: "Training", where: "Registry") -> "Training":
    """The training with what changed against the champion; one that cannot be loaded is told and stops nothing."""
    from models import bundle  # noqa: PLC0415 LightGBM: who only ingests does not wait for it
    from training.contest import Contender  # noqa: PLC0415 as above
    from training.succession import Succession, succession  # noqa: PLC0415 as above

    with session.progress.stage("Holding it beside the champion"):
        version = where.champion_version()
        if version is None:
            return training
        said = session.settings.score
        try:
            found = succession(
                log,
                training,
                Contender(version, bundle.load(where.bundle(version))),
                tiers=TierRule(high=said.high, medium=said.medium),
                workers=steps.threads(session),
            )
        except UserError as error:
            found = Succession(because=f"the champion, version {version}, could not be held against it: {error}")
    return replace(training, succession=found)


def write_report(session: Session, training: "Training", target: Path) -> Mapping[str, bytes]:
    """The report's files, of which the page is written to the target."""
    from training.report_files import PAGE, report_files  # noqa: PLC0415 matplotlib, not before it is needed

    with session.progress.stage("Drawing the report"):
        files = report_files(training)
        with replacing(target) as unfinished:
            unfinished.write_bytes(files[PAGE])
    return files
