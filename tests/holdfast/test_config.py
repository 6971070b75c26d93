"""Settings: option over environment over file over default, and mistakes that are named."""

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from features.errors import BadInput
from holdfast import config
from holdfast.config import resolve, template


def write(folder: Path, text: str) -> Path:
    file = folder / "holdfast.toml"
    file.write_text(text, "utf-8")
    return file


def test_without_a_file_everything_stands_at_its_default(tmp_path: Path) -> None:
    resolved = resolve({}, environment={}, folder=tmp_path)
    assert resolved.source is None
    assert resolved.data_dir == tmp_path / "holdfast-data"
    assert resolved.settings.churn.horizon == timedelta(days=30)


def test_an_option_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    write(tmp_path, '[churn]\nhorizon = "10d"\nlook_back = "11d"\nlead_time = "12d"\n')
    environment = {"HOLDFAST_CHURN_HORIZON": "20d", "HOLDFAST_CHURN_LOOK_BACK": "3w"}
    resolved = resolve({("churn", "horizon"): timedelta(days=40)}, environment=environment, folder=tmp_path)
    churn = resolved.settings.churn
    assert (churn.horizon.days, churn.look_back.days, churn.lead_time.days) == (40, 21, 12)


def test_the_template_is_read_back_as_the_defaults(tmp_path: Path) -> None:
    write(tmp_path, template())
    from_template = resolve({}, environment={}, folder=tmp_path)
    (tmp_path / "holdfast.toml").unlink()
    without = resolve({}, environment={}, folder=tmp_path)
    assert from_template.data_dir == without.data_dir
    assert from_template.settings.ingest == without.settings.ingest


def test_every_line_of_the_template_may_be_uncommented(tmp_path: Path) -> None:
    keys = {entry.key for entry in config.entries()} | {"[definitions.cancelled]"}
    lines = [
        line.removeprefix("# ") if line.startswith("# ") and line[2:].split(" =")[0] in keys else line
        for line in template().splitlines()
    ]
    write(tmp_path, "\n".join(lines))
    settings = resolve({}, environment={}, folder=tmp_path).settings
    assert settings.ingest.timezone == "Europe/Berlin"
    assert (settings.churn.definition, settings.churn.cancel) == ("cancelled", ("cancel",))


def test_a_relative_data_folder_starts_from_the_file_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    file = write(tmp_path / "shop", '[data]\ndir = "data"\n')
    assert resolve({}, environment={}, folder=tmp_path, file=file).data_dir == tmp_path / "shop" / "data"
    option = resolve({("data", "dir"): "other"}, environment={}, folder=tmp_path, file=file)
    assert option.data_dir == tmp_path / "other"


def test_a_list_in_the_environment_is_separated_by_commas(tmp_path: Path) -> None:
    resolved = resolve({}, environment={"HOLDFAST_CHURN_ACTIVITY": "purchase, return"}, folder=tmp_path)
    assert resolved.settings.churn.activity == ("purchase", "return")


def test_mlflows_own_variable_is_honoured_unless_ours_is_set(tmp_path: Path) -> None:
    theirs = {"MLFLOW_TRACKING_URI": "https://mlflow.example.com"}
    assert resolve({}, environment=theirs, folder=tmp_path).settings.mlflow.tracking_uri == "https://mlflow.example.com"
    both = theirs | {"HOLDFAST_MLFLOW_TRACKING_URI": "https://ours.example.com"}
    assert resolve({}, environment=both, folder=tmp_path).settings.mlflow.tracking_uri == "https://ours.example.com"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[churn]\nhorizn = "30d"\n', ["holdfast.toml", "'horizn'", "[churn]", "'horizon'"]),
        ('[chrun]\nhorizon = "30d"\n', ["[chrun]", "'churn'"]),
        ("[churn]\nhorizon = 30\n", ["horizon in [churn] is 30", 'a span such as "60d"']),
        ('[churn]\nhorizon = "month"\n', ["'month' is not a span of time"]),
        ('[serve]\nport = "8000"\n', ['port in [serve] is "8000"', "a whole number"]),
        ("[serve]\nport = true\n", ["port in [serve] is true", "a whole number"]),
        ("[score]\nhigh = nan\n", ["high in [score]", "a number"]),
        ("[churn]\nactivity = [1]\n", ["activity in [churn] is [1]", "a list of texts"]),
        ("horizon = 3\n", ["unknown section [horizon]"]),
        ("churn = 3\n", ["outside a section"]),
        ("[churn\n", ["not valid TOML"]),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, words: list[str]) -> None:
    write(tmp_path, text)
    with pytest.raises(BadInput) as caught:
        resolve({}, environment={}, folder=tmp_path)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"HOLDFAST_CHURN_HORIZN": "30d"}, ["HOLDFAST_CHURN_HORIZN", "HOLDFAST_CHURN_HORIZON"]),
        ({"HOLDFAST_SERVE_PORT": "http"}, ["HOLDFAST_SERVE_PORT is 'http'", "a whole number"]),
        ({"HOLDFAST_SCORE_HIGH": "inf"}, ["HOLDFAST_SCORE_HIGH is 'inf'", "a number"]),
    ],
)
def test_a_mistake_in_the_environment_is_named(tmp_path: Path, environment: dict[str, str], words: list[str]) -> None:
    with pytest.raises(BadInput) as caught:
        resolve({}, environment=environment, folder=tmp_path)
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_file_that_is_named_and_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such configuration file"):
        resolve({}, environment={"HOLDFAST_CONFIG": str(tmp_path / "gone.toml")}, folder=tmp_path)


def test_no_two_settings_share_an_option() -> None:
    options = [entry.option for entry in config.entries()]
    assert [option for option in options if options.count(option) > 1] == []


TWO = """[churn]
horizon = "30d"
activity = ["purchase"]

[definitions.cancelled]
kind = "cancel"
cancel = ["stop"]

[definitions.month]
horizon = "28d"
"""


def test_a_named_definition_stands_in_the_place_of_the_section(tmp_path: Path) -> None:
    write(tmp_path, TWO)
    plain = resolve({}, environment={}, folder=tmp_path)
    assert (plain.settings.churn.horizon, plain.settings.churn.definition) == (timedelta(days=30), "")
    assert list(plain.definitions) == ["churn", "cancelled", "month"]
    assert plain.definitions["churn"] == plain.settings.churn
    resolved = resolve({("churn", "definition"): "cancelled"}, environment={}, folder=tmp_path)
    assert resolved.definitions == plain.definitions
    chosen = resolved.settings.churn
    assert (chosen.kind, chosen.cancel, chosen.activity, chosen.definition) == ("cancel", ("stop",), (), "cancelled")
    by_environment = resolve({}, environment={"HOLDFAST_CHURN_DEFINITION": "month"}, folder=tmp_path)
    assert by_environment.settings.churn.horizon == timedelta(days=28)
    assert by_environment.settings.churn == dataclasses.replace(plain.definitions["month"], definition="month")


def test_an_option_goes_before_what_a_named_definition_says(tmp_path: Path) -> None:
    write(tmp_path, TWO)
    options = {("churn", "definition"): "month", ("churn", "horizon"): timedelta(days=7)}
    assert resolve(options, environment={}, folder=tmp_path).settings.churn.horizon == timedelta(days=7)


def test_the_file_may_choose_a_definition_itself(tmp_path: Path) -> None:
    write(tmp_path, TWO.replace('horizon = "30d"', 'definition = "month"\nhorizon = "30d"'))
    assert resolve({}, environment={}, folder=tmp_path).settings.churn.horizon == timedelta(days=28)


@pytest.mark.parametrize(
    ("text", "chosen", "words"),
    [
        (TWO, "canceled", ["no definition 'canceled'", "holdfast.toml", "'cancelled'"]),
        ("", "cancelled", ["no definition 'cancelled'", "[definitions.cancelled]"]),
        (TWO + 'horizn = "1d"\n', "", ["[definitions.month]", "'horizn'", "'horizon'"]),
        (TWO + "least_value = -1.0\n", "", ["least_value is -1.0"]),
        (TWO + 'definition = "month"\n', "", ["[definitions.month]", "names a definition itself"]),
        ('[definitions."a b"]\nhorizon = "1d"\n', "", ["[definitions.a b] is no name"]),
        ("[definitions.churn]\n", "", ["[definitions.churn] is no name"]),
        ('[definitions]\nhorizon = "1d"\n', "", ["definitions holds no names", "[definitions.NAME]"]),
    ],
)
def test_a_mistake_in_a_named_definition_is_named(tmp_path: Path, text: str, chosen: str, words: list[str]) -> None:
    write(tmp_path, text)
    options = {("churn", "definition"): chosen} if chosen else {}
    with pytest.raises(BadInput) as caught:
        resolve(options, environment={}, folder=tmp_path)
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_definition_may_not_be_chosen_where_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no definition 'month' \(no holdfast.toml\)"):
        resolve({("churn", "definition"): "month"}, environment={}, folder=tmp_path)
