"""How a command says its result: text for people, exactly one JSON document for machines."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import click

from features.windows import format_span, iso


def say(text: str) -> None:
    """A line for people, on stderr, that a machine reading stdout never meets."""
    click.echo(text, err=True)


def emit(document: Mapping[str, object], *, text: str, as_json: bool) -> None:
    """The result of a command on stdout."""
    click.echo(to_json(document) if as_json else text)


def to_json(document: object) -> str:
    """One JSON document; times in ISO 8601, spans as `60d`, what is not a finite number as null.

    >>> print(to_json({"share": float("nan"), "span": timedelta(days=60)}))
    {
      "share": null,
      "span": "60d"
    }
    """
    return json.dumps(_plain(document), ensure_ascii=False, indent=2, allow_nan=False)


def table(rows: Sequence[Sequence[str]], *, header: Sequence[str], right: Sequence[int] = ()) -> str:
    """Columns in line; those named in `right` are flush right.

    >>> print(table([["ada", "7"], ["bert", "12"]], header=["user", "days"], right=[1]))
    user  days
    ada      7
    bert    12
    """
    widths = [max(len(row[place]) for row in [header, *rows]) for place in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, *rows]
    )


def sentences(reasons: str) -> str:
    """The sentences of a score's reasons, which the store keeps as JSON.

    >>> sentences('[{"code": "recency", "sentence": "last seen 24 days ago", "contribution": 0.8}]')
    'last seen 24 days ago'
    """
    return "; ".join(reason["sentence"] for reason in json.loads(reasons))


def _plain(thing: object) -> object:
    if isinstance(thing, Mapping):
        return {str(key): _plain(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_plain(item) for item in thing]
    if isinstance(thing, float):
        return thing if math.isfinite(thing) else None
    if isinstance(thing, datetime):
        return iso(thing)
    if isinstance(thing, timedelta):
        return format_span(thing)
    return str(thing) if isinstance(thing, Path) else thing
