"""The whole line in Python: a data folder as an object whose methods are the commands, on DataFrames instead of files.

    import holdfast

    shop = holdfast.Project("shop-data", churn={"activity": ["purchase"], "horizon": "30d"})
    shop.ingest(orders, user_id="customer", time="ts", event="kind")
    done = shop.train()
    print(holdfast.tell(done))

It does what the command line does on the same folder: the same settings, locks, runs in MLflow, gate and score store.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from features import table
from features.feature_set import FeatureSet
from features.ingest import Ingested
from features.log import EventLog
from features.table import FeatureTable, Moment
from features.windows import parse_span, utc
from holdfast import config, log_steps, steps
from holdfast.config import Value
from holdfast.progress import Progress
from holdfast.session import Session
from models.definition import ChurnDefinition

if TYPE_CHECKING:
    import pandas as pd

    from holdfast.check_steps import Checked
    from holdfast.define_steps import Defined
    from holdfast.gate_steps import Promoted, RolledBack
    from holdfast.steps import Scored, Trained
    from models.champions import Change
    from training.backtest import Backtest
    from training.gate import Verdict

Section = Mapping[str, object]


class Project:
    """A data folder and the settings for it.

    `folder` holds the event log, the models and the scores (default: as the settings say). Each section of the
    settings is a keyword: `churn={"horizon": "30d"}`, `train={"seed": 7}`; `churn` may be a definition too. What is
    not said there is taken from `file`, else from the environment and from the `holdfast.toml` of the working
    directory, as the command line does. With `progress` what takes longer is told on stderr.
    Raises `BadInput` for settings that there are not.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        file: Path | str | None = None,
        progress: bool = False,
        **said: "Section | ChurnDefinition",
    ) -> None:
        self._folder = None if folder is None else Path(folder)
        self._said = {section: _plain(values) for section, values in said.items()}
        options: dict[tuple[str, str], Value] = config.given(self._said, said_by="Project", folder=Path.cwd())
        if self._folder is not None:
            options["data", "dir"] = str(self._folder)
        self._resolved = config.resolve(
            options, environment=os.environ, folder=Path.cwd(), file=None if file is None else Path(file)
        )
        self._shows_progress = progress

    def __repr__(self) -> str:
        return f"Project({self._resolved.settings.data.dir!r}): {self.definition.says()}"

    def having(self, **said: "Section | ChurnDefinition") -> "Project":
        """The same folder with these sections of the settings in the place of what was said of them before."""
        sections = {**self._said, **said}
        return Project(self._folder, file=self._resolved.source, progress=self._shows_progress, **sections)

    @property
    def definition(self) -> ChurnDefinition:
        """What churn means by the settings."""
        return steps.definition(self._session())

    @property
    def log(self) -> EventLog:
        """The event log; raises `NotReady` when nothing has been read into it."""
        return EventLog.open(self._session().folder.events)

    @property
    def tracking_uri(self) -> str:
        """Where MLflow keeps runs and models."""
        return self._session().tracking_uri

    def ingest(self, source: object, *, valid_from: str = "", **columns: str) -> Ingested:
        """Read events into the log: a DataFrame or Arrow table, or the names of files, folders or globs.

        `columns` says what its columns are called and how to read them, as `[ingest]` does: `user_id="customer"`,
        `timezone="Europe/Berlin"`. With `valid_from` the rows are profiles, and it names the column that says from
        when on a row is true. Rows that break the contract go to quarantine; the counts of the result add up.
        """
        session = self._session(ingest=columns)
        names = [str(source)] if isinstance(source, str | Path) else source
        if isinstance(names, list | tuple) and all(isinstance(name, str | Path) for name in names):
            return log_steps.ingest(session, [str(name) for name in names], valid_from=valid_from)
        return log_steps.ingest_table(session, source, valid_from=valid_from)

    def define(
        self,
        *,
        candidates: Sequence[str] = (),
        gone_after: str | None = None,
        until: Moment | None = None,
        to: Path | str | None = None,
        write: bool = False,
    ) -> "Defined":
        """What the log says about how many days of silence mean churn, and the definitions of the file side by side.

        `candidates` are look-backs and horizons such as `60d/30d`. `to` is a folder for the pictures, `write` puts
        the recommendation into holdfast.toml.
        """
        from holdfast import define_steps  # noqa: PLC0415 - each method pays for its own libraries
        from training.define import as_spans  # noqa: PLC0415 - as above

        asked = define_steps.Asked(
            spans=[as_spans(text) for text in candidates],
            gone_after=None if gone_after is None else parse_span(gone_after),
            until=_moment(until),
            to=None if to is None else Path(to),
            write=write,
        )
        return define_steps.define(self._session(), asked)

    def check(self, *, cutoff: Moment | None = None) -> "Checked":
        """Is the log fit to learn from, and does anything in it know the outcome?"""
        from holdfast import check_steps  # noqa: PLC0415 - as above

        return check_steps.check(self._session(), cutoff=_moment(cutoff))

    def features(self, cutoffs: Moment | Sequence[Moment] | None = None) -> FeatureTable:
        """The features that a model sees of the population at each cutoff; by default at the end of the log."""
        session, log = self._session(), self.log
        summary = log.summary()
        return table.build(
            log,
            cutoffs=summary.end if cutoffs is None else cutoffs,
            features=steps.feature_set(session, summary),
            population=self.definition.population,
            as_known=steps.known(session, log).as_known,
            workers=steps.threads(session),
        )

    def backtest(
        self,
        *,
        cutoff: Moment | None = None,
        origins: int | None = None,
        every: str | timedelta | None = None,
        seconds: float | None = None,
        record: bool = True,
    ) -> "Backtest":
        """What the training would have been worth at every earlier cutoff."""
        from holdfast import backtest_steps  # noqa: PLC0415 - as above

        span = parse_span(every) if isinstance(every, str) else every
        asked = backtest_steps.Asked(_moment(cutoff), origins, span, seconds, record=record)
        return backtest_steps.run(self._session(), asked).found

    def train(
        self, *, features: FeatureSet | None = None, cutoff: Moment | None = None, promote: bool | None = None
    ) -> "Trained":
        """Learn a model, test it on later time beside simple rules, judge it and record it in MLflow.

        `features` is a set of your own (default: as the settings say). The model becomes champion if it is the first,
        or passes the gate; with `promote` true whatever is said of it, with false never.
        """
        return steps.train(self._session(), cutoff=_moment(cutoff), promote=promote, features=features)

    def compare(self, champion: str = "champion", challenger: str = "challenger") -> "Verdict":
        """The gate for the one against the other on the same windows; nothing is changed."""
        from holdfast import gate_steps  # noqa: PLC0415 - as above

        return gate_steps.compare(self._session(), str(champion), str(challenger))

    def promote(self, version: str = "challenger", *, reason: str = "", force: bool = False) -> "Promoted":
        """The version as champion if it passes the gate; with `force` anyway, for a reason."""
        from holdfast import gate_steps  # noqa: PLC0415 - as above

        return gate_steps.promote(self._session(), str(version), force=force, reason=reason)

    def rollback(self, *, to: str | None = None, reason: str = "", score: bool = True) -> "RolledBack":
        """The champion before as champion again, with its newest kept scores."""
        from holdfast import gate_steps  # noqa: PLC0415 - as above

        return gate_steps.rollback(self._session(), to=to, reason=reason, score=score)

    def history(self) -> "list[Change]":
        """The changes of the champion, oldest first."""
        from holdfast import gate_steps  # noqa: PLC0415 - as above

        return gate_steps.history(self._session())

    def score(self, *, cutoff: Moment | None = None, to: Path | str | None = None) -> "Scored":
        """Score the population with the champion, as the run that is served from now on, and as a file."""
        return steps.score(self._session(), cutoff=_moment(cutoff), to=None if to is None else Path(to))

    def at_risk(self, top: int = 20, *, tier: str | None = None, minimum: float = 0.0) -> "pd.DataFrame":
        """The users most at risk in the current run of scores, with reasons in words; a row a user.

        Raises `NotReady` before the first `score`.
        """
        import pandas as pd  # noqa: PLC0415 - as above

        from holdfast.lists import most_at_risk  # noqa: PLC0415 - as above
        from serving.lists import COLUMNS, list_row  # noqa: PLC0415 - as above
        from serving.store import ScoreStore  # noqa: PLC0415 - as above

        with closing(ScoreStore.open(self._session().store_url)) as store:
            _, listed = most_at_risk(store, top=top, tier=tier, minimum=minimum)
        return pd.DataFrame([list_row(score) for score in listed], columns=list(COLUMNS))

    def _session(self, **said: Section) -> Session:
        """A session of now; what is said goes before the project's own settings."""
        progress = Progress() if self._shows_progress else Progress(StringIO())
        more = config.given(said, said_by="Project", folder=Path.cwd())
        return Session(self._resolved.with_values(more), as_json=False, now=datetime.now(UTC), progress=progress)


def _plain(said: Section | ChurnDefinition) -> Section:
    """A definition as the section [churn] that says it."""
    return said.to_json() if isinstance(said, ChurnDefinition) else said


def _moment(said: Moment | None) -> datetime | None:
    return utc(said) if isinstance(said, str) else said
