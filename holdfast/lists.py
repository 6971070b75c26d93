"""Who is most at risk in the run of scores that is served."""

import itertools
from collections.abc import Iterator

from features.errors import NotReady
from serving.store import Run, ScoreStore, StoredScore, Wanted

_PAGE = 1000


def most_at_risk(
    store: ScoreStore, *, top: int, tier: str | None = None, minimum: float = 0.0
) -> tuple[Run, list[StoredScore]]:
    """The run and its users most at risk, at most `top`, of a tier or at least so likely to leave.

    Raises `NotReady` before the first run.
    """
    run = store.current_run()
    if run is None:
        raise NotReady("there are no scores yet; run `holdfast score` first.")
    return run, list(itertools.islice(_listed(store, tier=tier, minimum=minimum), top))


def _listed(store: ScoreStore, *, tier: str | None, minimum: float) -> Iterator[StoredScore]:
    wanted = Wanted(tier=tier, minimum=minimum)
    page = store.at_risk(wanted, limit=_PAGE)
    while page is not None:
        yield from page.scores
        if page.next is None:
            return
        page = store.at_risk(wanted, after=page.next, limit=_PAGE)
