"""How the figures are printed: what was measured, and what follows from it beside its bar."""

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.features.measure import Figure


@dataclass(frozen=True, slots=True)
class Row:
    """One measured thing."""

    name: str
    figure: Figure
    events: int  # that it went through
    note: str = ""


@dataclass(frozen=True, slots=True)
class Ratio:
    """One comparison and what it should be."""

    name: str
    value: float
    bar: float
    at_most: bool = True
    unit: str = "x"


def print_rows(title: str, rows: Iterable[Row]) -> None:
    """A table of what was measured; `~` marks what was scaled."""
    print(f"\n{title:<46}{'wall s':>9}{'CPU s':>9}{'start-up':>10}{'cores':>7}{'M ev/s':>8}{'peak GB':>9}", flush=True)
    for row in rows:
        print_row(row)


def print_row(row: Row) -> None:
    """One line of it."""
    found, sign = row.figure, "~" if row.figure.is_scaled else ""
    rate = row.events / (found.wall - found.start_wall) / 1e6
    print(
        f"{row.name:<46}{sign + f'{found.wall:.2f}':>9}{sign + f'{found.processor:.2f}':>9}"
        f"{found.start_processor:>10.2f}{found.cores:>7.2f}{rate:>8.2f}{found.peak:>9.2f}  {row.note}".rstrip(),
        flush=True,
    )


def print_ratios(ratios: Iterable[Ratio]) -> None:
    """A table of comparisons, each with its bar; start-up left out on both sides."""
    print(f"\n{'':<62}{'found':>9}  bar")
    for ratio in ratios:
        sign = "<=" if ratio.at_most else ">="
        print(f"{ratio.name:<62}{f'{ratio.value:.2f} {ratio.unit}':>9}  {sign} {ratio.bar:g} {ratio.unit}", flush=True)
