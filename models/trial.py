"""A bundle's first run, in a process that may crash: `python -m models.trial FOLDER` reproduces its golden rows.

LightGBM can crash the process on a damaged text. Exit code 0: every golden row came out as recorded;
`MISMATCH`: the last line of standard error says what did not; anything else: the process came to grief.
"""

import json
import sys
from pathlib import Path
from typing import Any

if (
    __name__ == "__main__"
):  # LightGBM imports them when it can; the trial needs neither and starts in a third of the time
    sys.modules["sklearn"] = sys.modules["pandas"] = None  # type: ignore[assignment] # how Python spells "not there"

import numpy as np

from models.blend import Blend, Floats
from models.hazard import HazardModel
from models.trying import MISMATCH

HAZARD, HAZARD_TREES = "hazard.json", "hazard.txt"
_CLOSE = 1e-12  # another processor may round the last bit of an exponential differently


def golden_rows(blend: Blend, matrix: Floats, margins: Floats) -> dict[str, Any]:  # Any: JSON
    """Rows with their margins and the blend's probabilities, as JSON; a missing value is null.

    Floats are written in the shortest form that reads back to the same bits.
    """
    return {
        "rows": [[None if np.isnan(value) else value for value in row] for row in matrix.tolist()],
        "margins": margins.tolist(),
        "churn_probabilities": blend.probabilities(margins).tolist(),
    }


def disagreement(blend: Blend, golden: dict[str, Any]) -> str:  # Any: JSON
    """How the blend departs from its golden rows; an empty text when it does not."""
    matrix = np.array(golden["rows"], dtype=np.float64)
    found = golden_rows(blend, matrix, blend.margin(matrix))
    for what in ("margins", "churn_probabilities"):
        expected, given = np.array(golden[what], dtype=np.float64), np.array(found[what], dtype=np.float64)
        if expected.shape != given.shape:
            return f"{len(golden['rows'])} golden rows but {len(expected)} {what}"
        wrong = ~(np.abs(expected - given) <= _CLOSE * np.maximum(1.0, np.abs(expected)))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            return f"{int(wrong.sum())} of {len(wrong)} {what} differ; row {row}: {given[row]!r}, not {expected[row]!r}"
    return ""


def curve_disagreement(hazard: HazardModel, expected: Floats, golden: dict[str, Any]) -> str:  # Any: JSON
    """How the hazard model departs from the curves of the golden rows; an empty text when it does not."""
    given = hazard.log_survival(np.array(golden["rows"], dtype=np.float64))
    if expected.shape != given.shape:
        return f"golden curves of {expected.shape}, expected {given.shape}"
    wrong = ~(np.abs(expected - given) <= _CLOSE * np.maximum(1.0, np.abs(expected)))
    return f"{int(wrong.any(axis=1).sum())} of {len(wrong)} golden risk curves differ" if wrong.any() else ""


def _main(folder: Path) -> int:
    document = json.loads((folder / "model.json").read_text("utf-8"))
    count = document["model"]["blend"]["boosters"]
    texts = tuple((folder / f"booster-{number}.txt").read_text("utf-8") for number in range(count))
    blend = Blend.from_json(document["model"]["blend"], texts)
    golden = json.loads((folder / "golden.json").read_text("utf-8"))
    difference = disagreement(blend, golden) or _curve_difference(folder, golden)
    if difference:
        sys.stderr.write(difference + "\n")
    return MISMATCH if difference else 0


def _curve_difference(folder: Path, golden: dict[str, Any]) -> str:  # Any: JSON
    if not (folder / HAZARD).exists():
        return ""
    described = json.loads((folder / HAZARD).read_text("utf-8"))
    hazard = HazardModel.from_json(described["model"], (folder / HAZARD_TREES).read_text("utf-8"))
    return curve_disagreement(hazard, np.array(described["golden_log_survival"], dtype=np.float64), golden)


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
