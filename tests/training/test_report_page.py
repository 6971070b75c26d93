"""The page of a report needs nothing else, names nobody, and can be read without pictures, colours and scripts."""

from collections import Counter
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import pytest

from models.definition import ChurnDefinition
from training.importance import LeftOut
from training.metrics import Estimate
from training.report_files import PAGE, report_files
from training.report_page import report_page
from training.run import Training
from training.succession import Difference, Figure, Moved, Succession
from training.tuned import Tuned, TunedTrial

LIGHT = 2_000_000  # bytes
SEVERAL = Estimate(0.01, 0.005, 0.02)


@dataclass
class Seen(HTMLParser):
    """What a page holds."""

    tags: Counter[str] = field(default_factory=Counter)
    addresses: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    pictures: list[dict[str, str]] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    loose_cells: int = 0
    text: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags[tag] += 1
        self.addresses += [given[name] for name in ("src", "href", "srcset", "action", "data") if name in given]
        self.ids += [given["id"]] if "id" in given else []
        if tag == "img":
            self.pictures.append(given)
        if tag in {"h1", "h2", "h3"}:
            self.headings.append(tag)
        if tag == "th" and given.get("scope") not in {"col", "row"}:
            self.loose_cells += 1

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _seen(page: str) -> Seen:
    found = Seen()
    found.feed(page)
    return found


@pytest.fixture(scope="module")
def files(training: Training) -> dict[str, bytes]:
    return report_files(training)


@pytest.fixture(scope="module")
def page(files: dict[str, bytes]) -> str:
    return files[PAGE].decode()


def test_the_page_needs_nothing_else_and_is_light(page: str) -> None:
    seen = _seen(page)
    assert seen.tags["script"] == seen.tags["link"] == seen.tags["iframe"] == 0
    inside = {address.partition(";")[0] for address in seen.addresses if not address.startswith("#")}
    assert inside == {"data:image/png"}
    assert "@import" not in page
    assert "url(" not in page
    assert len(page) < LIGHT


def test_links_within_the_page_lead_somewhere_and_no_id_is_used_twice(page: str) -> None:
    seen = _seen(page)
    assert len(seen.ids) == len(set(seen.ids))
    assert {address[1:] for address in seen.addresses if address.startswith("#")} == set(seen.ids)


def test_who_does_not_see_the_pictures_is_told_what_they_show(page: str) -> None:
    seen = _seen(page)
    assert len(seen.pictures) >= 8
    assert all(len(picture["alt"]) > 20 and int(picture["width"]) > 300 for picture in seen.pictures)
    assert seen.tags["table"] == seen.tags["caption"] > 10
    assert seen.loose_cells == 0
    assert seen.headings[0] == "h1"
    assert seen.headings.count("h1") == 1
    assert 'lang="en"' in page


def test_the_verdict_comes_first_with_all_its_reasons(page: str, training: Training) -> None:
    text = "".join(_seen(page).text)
    places = [text.index(finding.sentence[1:]) for finding in training.verdict.findings]
    assert text.index(str(training.verdict.decision)) < min(places)
    assert max(places) < text.index("What was learnt from")


def test_no_user_is_named(files: dict[str, bytes]) -> None:
    assert [name for name, content in files.items() if b"user-" in content] == []


def test_every_section_that_was_asked_for_is_there(page: str) -> None:
    text = "".join(_seen(page).text)
    for said in (
        "What churn means", "How time was split", "How good it is", "Do probabilities come true",
        "For whom it is good", "How steady the list is", "Leakage checks", "What moves the score",
        "How the score depends on a feature", "Sure to stay, but left", "There is no champion yet",
        "Intended use", "How to repeat it", "--drop-families",
    ):  # fmt: skip
        assert said in text, said


def test_what_others_wrote_is_shown_and_not_run(training: Training) -> None:
    nasty = ChurnDefinition(activity=("<script>alert(1)</script>",))
    page = report_page(replace(training, definition=nasty), pictures={})
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_pictures_that_were_not_drawn_leave_no_gap(training: Training) -> None:
    assert _seen(report_page(training, pictures={})).pictures == []


def test_the_same_training_gives_the_same_bytes(training: Training, files: dict[str, bytes]) -> None:
    again = report_files(training)
    assert [name for name in files if files[name] != again[name]] == []
    assert files.keys() == again.keys()


def test_refits_without_families_a_champion_and_a_search_are_told_where_there_are_some(training: Training) -> None:
    assert training.explained is not None
    left_out = (LeftOut("recency", 1, SEVERAL, SEVERAL),)
    successor = Succession(
        version="7",
        because="",
        differences=(Difference("recipe", "100 trees", "120 trees"),),
        added=("new_feature",),
        figures=(Figure("auc", SEVERAL, SEVERAL, SEVERAL),),
        rows=500,
        moved=Moved("2026-06-01", 30, 0.2, 0.25, 0.9, 0.85, 0.95, ((3, 1, 0), (0, 5, 1), (0, 0, 20))),
        importance=(("recency", 0.5, float("nan")),),
    )
    trials = (
        TunedTrial(0, "complete", {"leaves": 7.0}, 0.41, (0.41,), 100, 1.0),
        TunedTrial(1, "pruned", {"leaves": 9.0}, 0.44, (0.44,), 100, 1.0),
    )
    told = replace(
        training,
        explained=replace(training.explained, left_out=left_out),
        succession=successor,
        tuned=Tuned(trials, chosen=0, because="nothing better was found."),
    )
    files = report_files(told)
    text = "".join(_seen(files[PAGE].decode()).text)
    for said in ("worse without it", "Version 7 is the champion", "120 trees", "1 added: new_feature", "high now"):
        assert said in text, said
    assert "2 users are in another tier" in text
    assert "nan" not in text.split("Mean log-odds by family.")[1].split("The search")[0]
    assert "Settings stay as they were after 2 trials" in text
    assert {"figures/left_out.png", "figures/tuning.png", "tables/left_out.json"} <= files.keys()
