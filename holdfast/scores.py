"""The score store of a session: the right database, the right tenant."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.session import Session

if TYPE_CHECKING:
    from serving.store import ScoreStore


@contextmanager
def open_store(session: Session) -> "Iterator[ScoreStore]":
    """The store, made or migrated when needed; what its database complains of is told in words."""
    from serving.store import ScoreStore  # noqa: PLC0415 SQLAlchemy, only for who needs it
    from serving.store.trouble import told_apart  # noqa: PLC0415 as above

    store = ScoreStore.open(session.store_url, tenant=session.settings.store.tenant)
    try:
        with told_apart(store.database):
            yield store
    finally:
        store.close()
