"""What tests read in the documentation: blocks, commands, tables and links; and how output is compared."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_PROGRESS = re.compile(r".*(\(\d+ s(, about .* left)?\)|: \d+\.\d s)")


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    kind: str  # console, python, text …
    mark: str  # what the comment above it says
    body: str

    @property
    def place(self) -> str:
        return f"{self.page} line {self.line}"

    def commands(self) -> Iterator[tuple[str, str]]:
        """Each command after a `$ ` with the output shown below it."""
        for part in re.split(r"^\$ ", self.body, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown.rstrip("\n")


@dataclass(frozen=True)
class Page:
    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(HOUSE).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    def blocks(self) -> list[Block]:
        return [
            Block(
                self.name,
                self.text.count("\n", 0, found.start()) + 1,
                found["kind"],
                found["mark"] or "",
                found["body"],
            )
            for found in _BLOCK.finditer(self.text)
        ]

    def section(self, title: str) -> str:
        """The text below a heading, up to the next one of its level."""
        return re.split(r"^## ", self.text.split(f"\n## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]

    def anchors(self) -> set[str]:
        """The names by which a link reaches its headings."""
        plain = re.sub(r"```.*?^```", "", self.text, flags=re.MULTILINE | re.DOTALL)
        headings = re.findall(r"^#+ (.*)$", plain, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    def links(self) -> list[str]:
        plain = re.sub(r"```.*?^```", "", self.text, flags=re.MULTILINE | re.DOTALL)
        return re.findall(r"\]\(([^)\s]+)\)", plain)


def pages() -> list[Page]:
    """All pages; the README first, because its blocks make the project in which the others run."""
    first = [
        "README.md",
        *(f"docs/{name}.md" for name in ("data", "features", "training", "api", "operations", "concepts")),
    ]
    others = sorted(path.relative_to(HOUSE).as_posix() for path in (*HOUSE.glob("*.md"), *HOUSE.glob("docs/**/*.md")))
    return [Page(HOUSE / name) for name in dict.fromkeys([*first, *others])]


def page(name: str) -> Page:
    return Page(HOUSE / name)


def rows(section: str) -> list[list[str]]:
    """The cells of a section's tables, headings left out."""
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in found if "`" in row[0] or row[0].isdigit()]


def names(section: str) -> list[str]:
    """What stands between backticks in the first column."""
    return [name for row in rows(section) for name in re.findall(r"`([^`]+)`", row[0])]


def agrees(shown: str, said: str, *, mark: str) -> bool:
    """Whether a command said what the page shows, as strictly as the block's mark asks for."""
    if mark == "sample":
        return _same_kind(shown, said)
    return _matches(_loose(shown), _loose(said)) if mark == "figures differ" else _matches(shown, said)


def without_progress(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not _PROGRESS.fullmatch(line))


def _matches(shown: str, said: str) -> bool:
    """`…` stands for anything within a line, alone on a line for any lines."""
    pattern = ""
    for line in shown.splitlines():
        part = ".*?".join(re.escape(piece) for piece in line.rstrip().split("…"))
        pattern += r"(?:.*\n)*?" if line.strip() == "…" else f"{part}\n"
    text = "".join(f"{line.rstrip()}\n" for line in said.rstrip("\n").splitlines())
    return re.fullmatch(pattern, text) is not None


def _loose(text: str) -> str:
    """Numbers, hashes and bars as one sign each, spaces as one."""
    text = re.sub(r"\b(fs|churn)-[0-9a-f]{12}\b", r"\1-0", text)
    text = re.sub(r"[+-]?\d+(?:[.,:]\d+)*", "0", text)
    return re.sub(r" {2,}|-{3,}|={3,}|#{2,}", " ", text)


def _same_kind(shown: str, said: str) -> bool:
    """For output that changes with every model: JSON of the same keys, or text that begins alike."""
    keys = _keys(_json(re.sub(r",?\n *…\n", "\n", shown)))
    if keys:
        return keys == _keys(_json(said))
    first, begins = shown.splitlines()[0], said.splitlines()[0] if said else ""
    return _matches(_loose(first), _loose(begins))


def _json(text: str) -> Any:  # Any: JSON
    try:
        return json.loads(text)
    except ValueError:
        return None


def _keys(document: Any, prefix: str = "") -> set[str]:  # Any: JSON
    if isinstance(document, list):
        return set().union(*(_keys(item, prefix) for item in document))
    if isinstance(document, dict):
        return {f"{prefix}.{key}" for key in document}.union(*(_keys(v, f"{prefix}.{k}") for k, v in document.items()))
    return set()
