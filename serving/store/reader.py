"""Reading runs on the hot path: one statement an answer, or one moment for several, so that no answer mixes runs."""

from collections.abc import Sequence
from operator import itemgetter

import orjson

from features.errors import NotReady
from features.fifths import DatedFifths
from features.windows import Interval, from_microseconds
from serving.store.database import Database, Row
from serving.store.phrases import Phrasebook
from serving.store.records import Absence, Before, Group, Lookup, Run, RunFacts, StoredScore

_TOLD = """s.churn_probability, s.percentile, s.risk_tier, s.reasons, s.changes, s.value_at_risk, s.lifecycle_stage,
       s.segment, s.contactable, s.previous_churn_probability"""
_SCORE = f"""
SELECT c.run_id, {_TOLD},
       CASE WHEN s.run_id IS NULL
            THEN (SELECT o.why FROM outside o WHERE o.run_id = c.run_id AND o.user_id = :user_id) END, 0
FROM current_run c
LEFT JOIN scores s ON s.run_id = c.run_id AND s.user_id = :user_id
WHERE c.tenant = :tenant
"""  # noqa: S608 - only constants are put in
_LOOKUP = f"""
SELECT c.run_id, {_TOLD},
       CASE WHEN s.run_id IS NULL
            THEN (SELECT o.why FROM outside o WHERE o.run_id = c.run_id AND o.user_id = asked.text) END, asked.place
FROM current_run c
CROSS JOIN {{asked}} asked
LEFT JOIN scores s ON s.run_id = c.run_id AND s.user_id = asked.text
WHERE c.tenant = :tenant
"""  # noqa: S608 - as above
_HISTORY = f"""
SELECT s.run_id, {_TOLD}
FROM runs r
JOIN scores s ON s.run_id = r.run_id AND s.user_id = :user_id
WHERE r.tenant = :tenant AND r.complete = 1 AND r.run_id < :before
ORDER BY r.run_id DESC LIMIT :most
"""  # noqa: S608 - as above
# The inner query is answered from the index alone where it can be; only a page of rows is then fetched.
# The order is spelled out twice because a join promises none.
_PAGE = f"""
SELECT s.user_id, {_TOLD}
FROM (
    SELECT user_id FROM scores
    WHERE run_id = :run_id AND churn_probability >= :minimum {{conditions}}
    ORDER BY churn_probability DESC, user_id LIMIT :rows
) page
JOIN scores s ON s.run_id = :run_id AND s.user_id = page.user_id
ORDER BY s.churn_probability DESC, s.user_id
"""  # noqa: S608 - the conditions are constants too
_RUN = """
SELECT run_id, scored_at, cutoff, horizon_start, horizon_end, valid_until, model_version, definition_id, model, users,
       outside, fifths, language, summary, phrases, previous_run_id, previous_cutoff, previous_model_version
FROM runs WHERE tenant = :tenant AND complete = 1
"""
_RUNS_REMEMBERED = 16
_LAST_RUN = 2**31 - 1

NO_SCORES_YET = "there are no scores yet; run `holdfast score` first."


class Reader:
    """Answers from the runs of one tenant; safe to share between threads."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant
        self._runs: dict[int, Run] = {}
        self._lookup = _LOOKUP.format(asked=database.each_of("user_ids"))

    def score(self, user_id: str) -> StoredScore | Absence:
        """The user's score in the current run, or why there is none; raises `NotReady` before the first run."""
        if "\0" in user_id:  # no database keeps such a text, and ingest refuses it
            return Absence.UNKNOWN
        rows = self._database.ask(_SCORE, user_id=user_id, tenant=self._tenant)
        if not rows:
            raise NotReady(NO_SCORES_YET)
        return self._answer(rows[0], user_id)

    def lookup(self, user_ids: Sequence[str]) -> Lookup:
        """The same for many users, all from one run, in the order asked."""
        asked = self._database.listed(["" if "\0" in user_id else user_id for user_id in user_ids])  # "" is nobody
        rows = self._database.ask(self._lookup, user_ids=asked, tenant=self._tenant)
        if not rows:
            raise NotReady(NO_SCORES_YET)
        rows.sort(key=itemgetter(-1))  # a join promises no order, and the database would be slower
        answers = [self._answer(row, user_id) for row, user_id in zip(rows, user_ids, strict=True)]
        return Lookup(self._remembered(rows[0][0]), answers)

    def current_run(self) -> Run | None:
        """The run that is served now, or None before the first."""
        with self._database.at_one_moment():
            rows = self._database.ask("SELECT run_id FROM current_run WHERE tenant = :tenant", tenant=self._tenant)
            return self.run(rows[0][0]) if rows else None

    def run(self, run_id: int) -> Run | None:
        """A complete run; None when it was never there, is not complete, has been pruned, or is another tenant's."""
        rows = self._database.ask(_RUN + " AND run_id = :run_id", tenant=self._tenant, run_id=run_id)
        return _run(rows[0]) if rows else None

    def runs(self, *, before: int | None, limit: int) -> list[Run]:
        """Complete runs that are still kept, newest first: those with smaller numbers than `before`."""
        query = _RUN + " AND run_id < :before ORDER BY run_id DESC LIMIT :most"
        most = {"before": before or _LAST_RUN, "most": limit}
        return [_run(row) for row in self._database.ask(query, tenant=self._tenant, **most)]

    def history(self, user_id: str, *, before: int | None, limit: int) -> list[StoredScore]:
        """The user's scores in the runs that are kept, newest first."""
        if "\0" in user_id:
            return []
        rows = self._database.ask(
            _HISTORY, user_id=user_id, tenant=self._tenant, before=before or _LAST_RUN, most=limit
        )
        return [self._stored(row[0], user_id, row[1:]) for row in rows]

    def page(self, run: Run, conditions: str, *, wanted: dict[str, object]) -> list[StoredScore]:
        """Users of a run, most at risk first, under conditions on `scores` whose values are in `wanted`."""
        query = _PAGE.format(conditions=conditions)
        rows = self._database.ask(query, run_id=run.run_id, **wanted)
        return [self._stored(run.run_id, row[0], row[1:]) for row in rows]

    def _answer(self, row: Row, user_id: str) -> StoredScore | Absence:
        if row[1] is not None:
            return self._stored(row[0], user_id, row[1:-2])
        why = row[-2]
        return Absence.UNKNOWN if why is None else Absence(why)

    def _stored(self, run_id: int, user_id: str, told: Row) -> StoredScore:
        *fields, contactable, previously = told
        allowed = None if contactable is None else bool(contactable)
        return StoredScore._make((self._remembered(run_id), user_id, *fields, allowed, previously))

    def _remembered(self, run_id: int) -> Run:
        """A complete run never changes, so it is read once."""
        known = self._runs.get(run_id)
        if known is not None:
            return known
        run = self.run(run_id)
        if run is None:
            raise NotReady(NO_SCORES_YET)
        if len(self._runs) >= _RUNS_REMEMBERED:
            self._runs.clear()
        self._runs[run_id] = run
        return run


def _run(row: Row) -> Run:
    run_id, scored_at, cutoff, start, end, valid_until, version, definition_id, model, users, outside, *more = row
    fifths, language, summary, phrases, before_id, before_cutoff, before_version = more
    facts = RunFacts(
        cutoff=from_microseconds(cutoff),
        horizon=Interval(from_microseconds(start), from_microseconds(end)),
        valid_until=from_microseconds(valid_until),
        model_version=version,
        definition_id=definition_id,
        model=orjson.loads(model),
        fifths=None if fifths is None else DatedFifths.from_json(orjson.loads(fifths)),
        language=language,
    )
    groups = tuple(Group(**group) for group in orjson.loads(summary))
    before = None if before_cutoff is None else Before(before_id, from_microseconds(before_cutoff), before_version)
    book = Phrasebook.from_json(phrases)
    return Run(run_id, facts, from_microseconds(scored_at), users, outside, before, groups, book)
