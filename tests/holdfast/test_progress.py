"""Progress: silent when short, a line every few seconds otherwise, all stages remembered."""

import io
import time

import pytest

from holdfast import progress
from holdfast.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_is_over_at_once_says_nothing() -> None:
    stream = io.StringIO()
    shown = Progress(stream)
    with shown.stage("Reading"):
        pass
    assert stream.getvalue() == ""
    assert [stage.name for stage in shown.stages] == ["Reading"]


def test_what_lasts_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.05)
    stream = io.StringIO()
    with Progress(stream).stage("Reading") as report:
        report(1, 4)
        time.sleep(0.2)
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("Reading … 25%")
    assert lines[-1].startswith("Reading: 0.")


def test_a_terminal_keeps_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.05)
    stream = Terminal()
    with Progress(stream).stage("Reading"):
        time.sleep(0.2)
    assert stream.getvalue().count("\n") == 1


def test_a_stage_that_fails_ends_its_line_and_is_not_remembered() -> None:
    shown = Progress(io.StringIO())
    with pytest.raises(ValueError, match="no"), shown.stage("Reading"):
        raise ValueError("no")
    assert shown.stages == []
