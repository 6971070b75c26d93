"""The notebook in docs/ runs in a fresh folder, and what it shows is what it is stored with."""

import re
import tempfile
from pathlib import Path

import pytest

from tests import notebook
from tests.pages import agrees


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> notebook.NotebookNode:
    return notebook.executed(notebook.stored(), tmp_path_factory.mktemp("notebook"))


def test_the_notebook_ends_with_a_list_of_who_is_most_at_risk(ran: notebook.NotebookNode) -> None:
    (kind, listed), *_ = notebook.outputs(ran.cells[-2])
    assert kind == "table"
    assert "churn_probability" in listed.splitlines()[0]
    assert len(set(re.findall(r"c\d{4}", listed))) == 8


def test_what_the_notebook_is_stored_with_is_what_it_shows(ran: notebook.NotebookNode) -> None:
    """As strictly as another machine and another version of a library allow: its kinds and its first lines."""
    stored = notebook.stored().cells
    if not any(cell.get("outputs") for cell in stored):
        pytest.skip("it is stored without what it shows; `make notebook` stores that")
    for before, after in zip(stored, ran.cells, strict=True):
        shown, said = list(notebook.outputs(before)), list(notebook.outputs(after))
        assert [kind for kind, _ in shown] == [kind for kind, _ in said], before.source
        for (kind, old), (_, new) in zip(shown, said, strict=True):
            first, begins = (text.strip().splitlines()[0] for text in (old, new))
            assert kind == "picture" or agrees(first, begins, mark="figures differ"), f"{first}\n{begins}"


def test_the_stored_notebook_holds_no_trace_of_where_it_was_run() -> None:
    found = notebook.stored()
    assert notebook.clean(notebook.stored()) == found
    texts = [text for cell in found.cells for kind, text in notebook.outputs(cell) if kind != "picture"]
    assert [text for text in texts if tempfile.gettempdir() in text or str(Path.home()) in text] == []
