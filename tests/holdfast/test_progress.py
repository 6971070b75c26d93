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


def test_the_rest_is_reckoned_from_the_pace_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    running = progress._Running("Building", started=clock[0])
    running.report(0, 100, "")
    clock[0] += 30
    running.report(25, 100, "")
    assert running.line() == "Building … 25% (30 s, about 2 min left)"


def test_what_lay_there_before_took_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    running = progress._Running("Building", started=clock[0])
    running.report(80, 100, "")
    clock[0] += 20
    running.report(90, 100, "")
    assert running.line() == "Building … 90% (20 s, about 20 s left)"


def test_nothing_is_said_of_the_rest_before_it_can_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    running = progress._Running("Building", started=clock[0])
    assert "left" not in running.line()
    running.report(1, 100, "")
    clock[0] += 60
    assert "left" not in running.line()
    running.report(2, 100, "another thing")
    clock[0] += 1
    running.report(3, 100, "another thing")
    assert "left" not in running.line()
    running.report(5000, 0, "another thing")
    assert "left" not in running.line()
