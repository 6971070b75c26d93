"""The files of a training's report: the page, the text, the card, the pictures, and what is exact as JSON."""

import io
import json

from models.card import model_card
from training.page_parts import DOTS_PER_INCH
from training.plots import figures
from training.report import report
from training.report_page import report_page
from training.run import Training
from training.tables import tables_of

PAGE = "report.html"
PICTURES, TABLES = "figures", "tables"


def report_files(training: Training) -> dict[str, bytes]:
    """Every file by its path; the same training gives the same bytes."""
    pictures = _pictures(training)
    fifths = training.fifths
    card = model_card(
        training.model,
        training.features,
        definition=training.definition,
        facts=training.facts,
        fifths_as_of=None if fifths is None else fifths.as_of,
    )
    checks = {name: training.facts[name] for name in ("readiness", "leakage")}
    examples = [] if training.explained is None else [one.to_json() for one in training.explained.examples]
    documents = {
        "cutoffs.json": training.split.to_json(),
        "checks.json": checks,
        "examples.json": examples,
        "succession.json": training.succession.to_json(),
    }
    texts = {
        PAGE: report_page(training, pictures=pictures),
        "report.txt": report(training) + "\n",
        "card.md": card,
        **{name: json.dumps(document, indent=1, allow_nan=False) for name, document in documents.items()},
        **{f"{TABLES}/{name}.json": _split(columns) for name, columns in tables_of(training).items()},
    }
    files = {name: text.encode() for name, text in texts.items()}
    return files | {f"{PICTURES}/{name}.png": picture for name, picture in pictures.items()}


def _pictures(training: Training) -> dict[str, bytes]:
    drawn = {}
    for name, figure in figures(training).items():
        page = io.BytesIO()
        figure.savefig(page, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
        drawn[name] = page.getvalue()
    return drawn


def _split(columns: dict[str, list[object]]) -> str:
    """A table as MLflow's own: pandas' orientation `split`."""
    names = list(columns)
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return json.dumps({"columns": names, "data": rows}, allow_nan=False)
