"""The list of users at risk, most at risk first, page by page; pages of one list are of one run."""

import sqlite3

from serving.store.records import AtRiskPage, Place, Run, StoredScore

# The inner query is answered from the index alone; only a page of rows is then fetched.
# The order is spelled out twice because a join promises none.
_PAGE = """
SELECT s.user_id, s.churn_probability, s.percentile, s.risk_tier, s.reasons
FROM (
    SELECT user_id FROM scores
    WHERE run_id = :run_id AND churn_probability >= :minimum {behind} {tier}
    ORDER BY churn_probability DESC, user_id LIMIT :rows
) page JOIN scores s ON s.run_id = :run_id AND s.user_id = page.user_id
ORDER BY s.churn_probability DESC, s.user_id
"""
_BEHIND = "AND churn_probability <= :probability AND (churn_probability < :probability OR user_id > :user_id)"
_TIER = "AND risk_tier = :tier"


def read_page(
    connection: sqlite3.Connection, run: Run, *, tier: str | None, minimum: float, after: Place | None, limit: int
) -> AtRiskPage:
    """The next `limit` users at or above the minimum probability, behind the place `after`."""
    query = _PAGE.format(behind=_BEHIND if after else "", tier=_TIER if tier else "")
    wanted: dict[str, object] = {"run_id": run.run_id, "minimum": minimum, "rows": limit + 1}
    if tier:
        wanted["tier"] = tier
    if after:
        wanted |= {"probability": after.churn_probability, "user_id": after.user_id}
    rows = connection.execute(query, wanted).fetchall()
    scores = [StoredScore(run, *row) for row in rows[:limit]]
    more = len(rows) > limit
    return AtRiskPage(
        run, scores, Place(run.run_id, scores[-1].churn_probability, scores[-1].user_id) if more else None
    )
