"""`holdfast define`: the log is asked, pictures are drawn, and the definition is written into holdfast.toml."""

import csv
import json
import tomllib
from pathlib import Path

import pytest

from features.errors import BadInput
from features.windows import days, iso, shift
from holdfast.toml_keys import with_keys
from tests.renewals import START, Renewals
from tests.said import here


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six hundred visitors over 200 days, and what they spent."""
    folder = tmp_path_factory.mktemp("shop")
    with (folder / "events.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "time", "event", "value"])
        for user, acts in Renewals().days_of(1500, length=200, seed=2).items():
            for day in acts:
                writer.writerow([user, iso(shift(START, days(1) * float(day))), "visit", "5"])
    assert here("ingest", "events.csv", folder=folder).code == 0
    return folder


@pytest.fixture
def with_file(shop: Path) -> Path:
    """The shop with a configuration file of its own words."""
    (shop / "holdfast.toml").write_text('# ours\n[churn]\nactivity = ["visit"]  # not returns\n# horizon = "30d"\n')
    return shop


def test_the_log_is_asked_and_answers(shop: Path) -> None:
    said = here("define", folder=shop)
    assert (said.code, said.out.splitlines()[0]) == (0, "What was looked at")
    assert "no event for 14 days" in said.out
    assert said.out.rstrip().endswith("To take it: holdfast define --write")


def test_the_document_holds_everything(shop: Path) -> None:
    document = json.loads(here("define", "--json", "--candidate", "30d/14d", folder=shop).out)
    assert [each["name"] for each in document["candidates"]] == ["30d/14d", "60d/30d"]
    assert document["recommendation"]["definition"]["look_back"] == "30d"
    assert document["log_version"] == 1
    assert document["written"] is None


def test_pictures_document_and_report_go_into_a_folder(shop: Path) -> None:
    said = here("define", "--to", "asked", folder=shop)
    assert said.code == 0, said.err
    names = ["base_rates.png", "definition.json", "definition.txt", "error_curves.png", "gaps.png", "return_curve.png"]
    assert sorted(path.name for path in (shop / "asked").iterdir()) == names
    assert json.loads((shop / "asked" / "definition.json").read_text())["recommendation"]["reasons"]


def test_the_definition_is_written_and_everything_else_stays(with_file: Path) -> None:
    said = here("define", "--write", folder=with_file)
    assert said.code == 0, said.err
    text = (with_file / "holdfast.toml").read_text()
    assert text == (
        '# ours\n[churn]\nlook_back = "14d"\nactivity = ["visit"]  # not returns\n# horizon = "30d"\nhorizon = "14d"\n'
    )
    again = here("define", folder=with_file)
    assert "The recommended definition is the one in force." in again.out


def test_without_a_file_the_one_of_init_is_written(shop: Path) -> None:
    (shop / "holdfast.toml").unlink(missing_ok=True)
    assert here("define", "--write", "--candidate", "21d/14d", "--activity", "visit", folder=shop).code == 0
    churn = tomllib.loads((shop / "holdfast.toml").read_text())["churn"]
    assert churn == {"activity": ["visit"], "look_back": "21d", "horizon": "14d"}
    assert "# Holdfast's settings." in (shop / "holdfast.toml").read_text()


def test_no_definition_is_bad_news_and_writes_nothing(with_file: Path) -> None:
    before = (with_file / "holdfast.toml").read_text()
    said = here("define", "--write", "--candidate", "90d/90d", folder=with_file)
    assert (said.code, said.out.splitlines()[-1]) == (1, "Nothing was written: there is no definition to write.")
    assert (with_file / "holdfast.toml").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--candidate", "60d"], "expected look-back and horizon"),
        (["--gone-after", "500d"], "does not fit into"),
        (["--activity", "purchase"], "holds no events that count (kinds purchase)"),
    ],
)
def test_what_cannot_be_asked_is_told(shop: Path, arguments: list[str], words: str) -> None:
    said = here("define", *arguments, folder=shop)
    assert said.code in {3, 4}
    assert words in said.err


def test_a_key_is_changed_in_its_place() -> None:
    text = '[data]\ndir = "x"\n\n[churn]\nhorizon = "30d"   # a month\n\n# How much\n[compute]\nthreads = 1\n'
    assert with_keys(text, "churn", {"horizon": "60d", "look_back": "90d"}) == text.replace(
        'horizon = "30d"   # a month', 'look_back = "90d"\nhorizon = "60d"   # a month'
    )


def test_a_section_that_is_not_there_is_added() -> None:
    assert with_keys("[data]\n", "churn", {"horizon": "60d"}) == '[data]\n\n[churn]\nhorizon = "60d"\n'
    assert with_keys("", "churn", {"activity": ["größe"]}) == '[churn]\nactivity = ["größe"]\n'


def test_a_list_over_many_lines_is_replaced_as_one() -> None:
    text = '[churn]\nactivity = [\n  "a",\n  "b",\n]\n'
    assert tomllib.loads(with_keys(text, "churn", {"activity": ["c"]})) == {"churn": {"activity": ["c"]}}


def test_a_section_in_other_words_is_left_to_its_author() -> None:
    with pytest.raises(BadInput, match='write by hand: horizon = "60d"'):
        with_keys('churn.look_back = "30d"\n', "churn", {"horizon": "60d"})
    with pytest.raises(BadInput, match="not valid TOML"):
        with_keys("[churn\n", "churn", {"horizon": "60d"})
