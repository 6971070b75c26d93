"""Where scores and keys live: SQLite or PostgreSQL, one schema, readers never see half a run."""

from serving.store.keys import ApiKey, NewKey
from serving.store.records import Absence, AtRiskPage, Lookup, Place, Run, RunFacts, Score, StoredScore, Wanted
from serving.store.score_store import ScoreStore

__all__ = [
    "Absence",
    "ApiKey",
    "AtRiskPage",
    "Lookup",
    "NewKey",
    "Place",
    "Run",
    "RunFacts",
    "Score",
    "ScoreStore",
    "StoredScore",
    "Wanted",
]
