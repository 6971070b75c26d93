"""From an event log to features: each a function of one user's events before a cutoff.

    import features

    table = features.build("holdfast-data/events", cutoffs=["2026-05-01", "2026-06-01"])
    table.to_pandas()  # or to_polars(), to_arrow()

What is named here is loaded when it is first used, so that importing the package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from features.dataset import read, write
    from features.log import EventLog
    from features.population import Population
    from features.table import FeatureTable, build
    from features.transformer import EventFeatures

__all__ = ["EventFeatures", "EventLog", "FeatureTable", "Population", "build", "read", "write"]

_HOME = {
    "EventFeatures": "features.transformer",
    "EventLog": "features.log",
    "FeatureTable": "features.table",
    "Population": "features.population",
    "build": "features.table",
    "read": "features.dataset",
    "write": "features.dataset",
}


def __getattr__(name: str) -> Any:  # Any: whatever has that name
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
