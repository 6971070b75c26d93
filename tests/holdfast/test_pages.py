"""The pages that come from code are in step with it."""

from pathlib import Path

from holdfast.pages import commands_page, errors_page, settings_page

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_of_settings_is_in_step() -> None:
    assert (DOCS / "settings.md").read_text("utf-8") == settings_page(), "run `make docs`"


def test_the_page_of_errors_is_in_step() -> None:
    assert (DOCS / "errors.md").read_text("utf-8") == errors_page(), "run `make docs`"


def test_the_page_of_commands_is_in_step() -> None:
    assert (DOCS / "commands.md").read_text("utf-8") == commands_page(), "run `make docs`"
