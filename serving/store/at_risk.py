"""The list of users at risk, most at risk first, page by page; pages of one list are of one run."""

from serving.store.reader import Reader
from serving.store.records import AtRiskPage, Place, Run, Wanted

_BEHIND = "AND churn_probability <= :probability AND (churn_probability < :probability OR user_id > :user_id)"


def read_page(reader: Reader, run: Run, wanted: Wanted, *, after: Place | None, limit: int) -> AtRiskPage:
    """The next `limit` users of the run who are wanted, behind the place `after`."""
    conditions: list[str] = []
    values: dict[str, object] = {"minimum": wanted.minimum, "rows": limit + 1}
    if after:
        conditions.append(_BEHIND)
        values |= {"probability": after.churn_probability, "user_id": after.user_id}
    named = {"risk_tier": wanted.tier, "lifecycle_stage": wanted.lifecycle_stage, "segment": wanted.segment}
    for column, value in named.items():
        if value is not None:
            conditions.append(f"AND {column} = :{column}")
            values[column] = value
    if wanted.contactable_only:
        conditions.append("AND (contactable IS NULL OR contactable = 1)")
    found = reader.page(run, " ".join(conditions), wanted=values)
    scores, more = found[:limit], len(found) > limit
    return AtRiskPage(
        run, scores, Place(run.run_id, scores[-1].churn_probability, scores[-1].user_id) if more else None
    )
