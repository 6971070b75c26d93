"""Pages of figures are written by programs; what people wrote below the figures stays."""

from pathlib import Path

BY_HAND = "<!-- from here on by hand: the program leaves it alone -->"


def write(page: str, file: Path) -> None:
    """Write a page, followed by what stood by hand on the one before."""
    before = file.read_text("utf-8") if file.exists() else ""
    _, marked, by_hand = before.partition(BY_HAND)
    file.write_text(f"{page.rstrip()}\n\n{marked}{by_hand}" if marked else page, "utf-8")
