"""A setting: one field of a class, with its default, its meaning and how it is shown."""

from dataclasses import field
from typing import Any


def setting(
    default: Any, says: str, *, option: str = "", example: str = "", metavar: str = ""
) -> Any:  # Any: as dataclasses.field
    """A field with its meaning; `option` where it differs from the key, `example` where there is no default."""
    return field(default=default, metadata={"says": says, "option": option, "example": example, "metavar": metavar})
