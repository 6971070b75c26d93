"""The front door: the command line, the configuration file, the demo, and the same line in Python.

    import holdfast

    shop = holdfast.Project("shop-data", churn={"horizon": "30d"})

What is named here is loaded when it is first used, so that the command line starts at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.project import Project
    from holdfast.showing import figures, metrics, tell

__version__ = "0.1.0"
__all__ = ["Project", "figures", "metrics", "tell"]

_HOME = {
    "Project": "holdfast.project",
    "figures": "holdfast.showing",
    "metrics": "holdfast.showing",
    "tell": "holdfast.showing",
}


def __getattr__(name: str) -> Any:  # Any: whatever has that name
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
