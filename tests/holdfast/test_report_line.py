"""`holdfast train` writes its report as a page, holds its model beside the champion, and leaves families out."""

from pathlib import Path

import pytest

from tests.holdfast.test_line import SMALL, events
from tests.said import Said, here

QUICK = [*SMALL, "--trees", "10", "--json"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("reported")
    assert here("ingest", str(events(made)), folder=made).code == 0
    return made


@pytest.fixture(scope="module")
def first(folder: Path) -> Said:
    return here("train", "--promote", "--drop-families", "true", "--report", "first.html", *QUICK, folder=folder)


@pytest.fixture(scope="module")
def second(folder: Path, first: Said) -> Said:
    assert first.code == 0, first.err
    return here("train", "--no-promote", "--seed", "3", *QUICK, folder=folder)


def test_the_page_is_written_where_it_was_asked_for(folder: Path, first: Said) -> None:
    page = (folder / "first.html").read_text("utf-8")
    assert first.document["report"] == "first.html"
    assert str(first.document["verdict"]["decision"]) in page
    assert "There is no champion yet" in page
    assert not (folder / "holdfast-data" / "report.html").exists()


def test_families_that_were_left_out_are_told_with_their_intervals(first: Said, second: Said) -> None:
    left_out = first.document["left_out"]
    assert {one["family"] for one in left_out} >= {"recency", "frequency"}
    assert all(one["log_loss_low"] <= one["log_loss"] <= one["log_loss_high"] for one in left_out)
    assert second.document["left_out"] == []


def test_by_default_the_page_lies_in_the_data_folder_and_knows_the_champion(folder: Path, second: Said) -> None:
    page = (folder / "holdfast-data" / "report.html").read_text("utf-8")
    assert Path(second.document["report"]) == folder / "holdfast-data" / "report.html"
    assert "Version 1 is the champion that this model may take the place of." in page
    assert "setting seed" in page
    assert "has learnt from outcomes that reach into the test" in page
    assert "users are in another tier" in page


def test_a_page_that_cannot_be_written_is_refused_before_the_work(folder: Path) -> None:
    said = here("train", "--report", "nowhere/report.html", folder=folder)
    assert said.code == 3
    assert "there is no folder nowhere" in said.err
    assert "Learning" not in said.err
