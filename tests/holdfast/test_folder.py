"""Two processes on one data folder."""

from pathlib import Path

import pytest

from features.errors import Busy
from features.windows import utc
from holdfast.folder import Folder

NOW = utc("2026-06-01T09:00:00Z")


def test_a_second_training_is_told_who_trains(tmp_path: Path) -> None:
    with (
        Folder(tmp_path).alone("training", now=NOW),
        pytest.raises(Busy, match=r"another training is running on .*\(pid \d+, since 2026-06-01T09:00:00Z\)"),
        Folder(tmp_path).alone("training", now=NOW),
    ):
        raise AssertionError


def test_ingesting_does_not_wait_for_training(tmp_path: Path) -> None:
    with Folder(tmp_path).alone("training", now=NOW), Folder(tmp_path).alone("ingest", now=NOW):
        pass


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), Folder(tmp_path).alone("training", now=NOW):
        raise KeyError
    with Folder(tmp_path).alone("training", now=NOW):
        pass
