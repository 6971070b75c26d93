"""The notebook in docs/: run as a reader would, in a kernel of its own where a warning is an error.

python -m tests.notebook   # runs it and stores what it shows, as `make notebook` does
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

from tests.pages import HOUSE

NOTEBOOK = HOUSE / "docs" / "from_dataframe_to_champion.ipynb"
BESIDE = HOUSE / "docs" / "example_shop.py"  # what it imports
SECONDS_A_CELL = 1200  # on a machine that does much else
_STRICT = "import warnings\nwarnings.simplefilter('error')"
_LENIENT = "warnings.resetwarnings()"  # the kernel itself warns when it is stopped


def stored() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def executed(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook with what its cells show when it is run in the folder; raises when one of them fails."""
    shutil.copy(BESIDE, folder)
    cells = notebook.cells
    notebook.cells = [_cell(_STRICT), *cells, _cell(_LENIENT)]
    with tempfile.TemporaryDirectory() as sockets:
        private = {"transport": "ipc", "ip": f"{sockets}/kernel", "connection_file": f"{sockets}/kernel.json"}
        NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=SECONDS_A_CELL,
            resources={"metadata": {"path": str(folder)}},
            config=Config({"KernelManager": private}),
        ).execute()
    notebook.cells = cells
    return notebook


def outputs(cell: NotebookNode) -> Iterator[tuple[str, str]]:
    """What a cell shows, each with its kind: text, table or picture."""
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data:
            yield "picture", data["image/png"]
        elif "text/html" in data:
            yield "table", data["text/plain"]
        else:
            yield "text", output.get("text") or data["text/plain"]


def clean(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what changes with every run or machine: times, counters, the version of Python."""
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.execution_count = None
            for output in cell.outputs:
                output.pop("execution_count", None)
                output.update({"execution_count": None} if output.output_type == "execute_result" else {})
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def _cell(source: str) -> Any:  # Any: nbformat has no types
    return nbformat.v4.new_code_cell(source)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        nbformat.write(clean(executed(stored(), Path(scratch))), NOTEBOOK)
    sys.stdout.write(f"Wrote {NOTEBOOK}.\n")
