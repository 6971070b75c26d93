"""What a report page is made of: sections of texts, lists, tables and pictures, and the template that shows them."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

TEMPLATE = "report_page.html"
Kind: TypeAlias = Literal["text", "heading", "quiet", "points", "table", "tables", "picture", "code"]
DOTS_PER_INCH = 144  # of the pictures: sharp on paper and on good screens
SHOWN_PER_INCH = 86  # pixels of the page for an inch of a picture, so that letters have one size in all of them


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; `quiet` for a remark on how to read what stands beside it, `heading` for one of its own."""

    text: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Points:
    """A list."""

    points: tuple[str, ...]
    kind: Kind = "points"


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to be typed or kept as they are."""

    text: str
    kind: Kind = "code"


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names the row; columns in `words` are text, the others are figures."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = ()
    kind: Kind = "table"


@dataclass(frozen=True, slots=True)
class Tables:
    """Small tables beside each other."""

    tables: tuple[Table, ...]
    kind: Kind = "tables"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture by its name, and what somebody who does not see it should know."""

    name: str
    alt: str
    kind: Kind = "picture"


Part: TypeAlias = Text | Points | Code | Table | Tables | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands beneath it; a section without parts is not shown."""

    title: str
    parts: tuple[Part, ...]

    @property
    def id(self) -> str:
        """What a link to the section says.

        >>> Section("How good it is", ()).id
        'how-good-it-is'
        """
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the template shows."""

    title: str
    lead: str
    decision: str
    reasons: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]


def sections_of(candidates: Sequence[Section], *, pictures: Mapping[str, bytes]) -> tuple[Section, ...]:
    """The sections that have something to show; pictures that were not drawn are left out."""
    shown = []
    for section in candidates:
        parts = tuple(part for part in section.parts if not isinstance(part, Picture) or part.name in pictures)
        if parts:
            shown.append(Section(section.title, parts))
    return tuple(shown)


def render(page: Page, *, pictures: Mapping[str, bytes]) -> str:
    """The page as HTML that needs nothing else: pictures are PNG within it, and there is no script."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - only who writes a page pays

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    inline = {name: _inline(data) for name, data in pictures.items()}
    return environment.get_template(TEMPLATE).render(page=page, pictures=inline)


def _inline(png: bytes) -> tuple[str, int]:
    """The picture as an address that holds it, and how wide it is shown, in pixels of the page."""
    wide = int.from_bytes(png[16:20], "big")  # of the header, which is the first chunk of every PNG
    address = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return address, round(wide / DOTS_PER_INCH * SHOWN_PER_INCH)
