"""What an operator wants to know of the current runs: how old, how many, how the scores are spread."""

from collections.abc import Mapping
from dataclasses import dataclass

from serving.store.records import Run
from serving.store.score_store import ScoreStore

BOUNDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_CURRENT = "SELECT tenant FROM current_run ORDER BY tenant"
_KEPT = "SELECT count(*) FROM runs WHERE tenant = :tenant AND complete = 1"
_COUNTS = ", ".join(f"count(*) FILTER (WHERE churn_probability <= {bound})" for bound in BOUNDS)
_SPREAD = f"SELECT {_COUNTS}, count(*), coalesce(sum(churn_probability), 0) FROM scores WHERE run_id = :run_id"  # noqa: S608 - constants
_ABSENT = "SELECT why, count(*) FROM outside WHERE run_id = :run_id GROUP BY why ORDER BY why"


@dataclass(frozen=True, slots=True)
class Overview:
    """One tenant's current run."""

    tenant: str
    run: Run
    runs_kept: int
    users_up_to: tuple[int, ...]  # with a probability up to each of `BOUNDS`, and of all
    probability_sum: float
    absent: Mapping[str, int]  # known users without a score, by reason


class Overviews:
    """Reads overviews; what needs a look at every score of a run is read once, because a run never changes."""

    def __init__(self, store: ScoreStore) -> None:
        self._store = store
        self._spread: dict[int, tuple[tuple[int, ...], float, dict[str, int]]] = {}

    def runs(self) -> dict[str, Run]:
        """The current run of every tenant that has one."""
        tenants = [str(row[0]) for row in self._store.database.ask(_CURRENT)]
        return {tenant: run for tenant in tenants if (run := self._store.of(tenant).current_run()) is not None}

    def read(self) -> list[Overview]:
        """All that is to be told of each current run; takes a second for millions of users, so not on the loop."""
        found = self.runs()
        current = {run.run_id for run in found.values()}
        self._spread = {run_id: known for run_id, known in self._spread.items() if run_id in current}
        return [self._of(tenant, run) for tenant, run in found.items()]

    def _of(self, tenant: str, run: Run) -> Overview:
        database = self._store.database
        if run.run_id not in self._spread:
            *counts, total = database.ask(_SPREAD, run_id=run.run_id)[0]
            absent = {str(why): int(users) for why, users in database.ask(_ABSENT, run_id=run.run_id)}
            self._spread[run.run_id] = (tuple(counts), float(total), absent)
        kept = int(database.ask(_KEPT, tenant=tenant)[0][0])
        return Overview(tenant, run, kept, *self._spread[run.run_id])
