"""What the steps around features came to, in words for people and as documents for machines."""

from dataclasses import asdict
from math import isnan

from features.bots import Rates
from features.dictionary import Dictionary
from features.windows import iso
from holdfast.feature_steps import Built, Late
from holdfast.output import table

_NOBODY = "Nobody is in the population then; expected another --cutoff, a longer --look-back, or what pays or starts."
_MOST_MOVED = 15  # features that a text names; --json names all


def dictionary_text(found: Dictionary) -> str:
    """A line a feature."""
    rows = [
        [
            entry.feature.name,
            entry.feature.pattern,
            entry.feature.family,
            "" if entry.feature.window_days is None else f"{entry.feature.window_days} d",
            f"{1 - entry.missing:.0%}" if found.users else "",
        ]
        for entry in found.entries
    ]
    head = f"{_features(len(rows))} ({found.fingerprint}) of {found.users:,} users as of {iso(found.cutoff)}"
    warning = "" if found.users else f"{_NOBODY}\n"
    return f"{head}\n{warning}\n{table(rows, header=['name', 'sentence', 'family', 'window', 'valued'], right=[3, 4])}"


def built_text(done: Built) -> str:
    """What was built, of whom, and what it reads."""
    first, last = iso(done.cutoffs[0]), iso(done.cutoffs[-1])
    when = f"as of {last}" if len(done.cutoffs) == 1 else f"at {len(done.cutoffs)} cutoffs from {first} to {last}"
    known = "what had been received before each cutoff" if done.as_known else "all events from their own time on"
    lines = [
        *([] if done.rows else [_NOBODY]),
        f"{done.rows:,} rows of {_features(len(done.features))} ({done.features.fingerprint}) {when}.",
        f"Read {known}: {done.because}",
        f"Wrote {done.folder} ({done.files} Parquet files) from version {done.log_version} of the log.",
    ]
    if done.kept == done.files:
        lines[-1] = f"{done.folder} held them already, from version {done.log_version} of the log; nothing was done."
    elif done.kept:
        lines.append(f"{done.kept} of the files were there from a build that had been interrupted.")
    return "\n".join(lines)


def built_document(done: Built) -> dict[str, object]:
    """The same for machines."""
    return {
        "written": done.folder,
        "engine": done.engine,
        "fingerprint": done.features.fingerprint,
        "features": len(done.features),
        "cutoffs": list(done.cutoffs),
        "as_known": done.as_known,
        "as_known_because": done.because,
        "log_version": done.log_version,
        "rows": done.rows,
        "files": done.files,
        "kept": done.kept,
    }


def late_text(late: Late) -> str:
    """How late events came, and the features that move most."""
    moving = [one for one in late.moved if one.share > 0]
    lines = [*late.found.says(), ""]
    if not late.found.saying:
        return "\n".join([*lines, "No feature can move: no event says when it was received."])
    if not moving:
        return "\n".join([*lines, f"No feature of anybody moves as of {iso(late.cutoff)} because of late events."])
    rows = [
        [one.name, f"{one.share:.1%}", "" if isnan(one.deviations) else f"{one.deviations:.3f}"]
        for one in moving[:_MOST_MOVED]
    ]
    head = f"{len(moving)} of {len(late.moved)} features move as of {iso(late.cutoff)}, most of all:"
    return "\n".join([*lines, head, "", table(rows, header=["feature", "users", "deviations"], right=[1, 2])])


def late_document(late: Late) -> dict[str, object]:
    """The same for machines."""
    return {
        **asdict(late.found),
        "trustworthy": late.found.trustworthy,
        "because": late.found.because,
        "cutoff": late.cutoff,
        "moved": [asdict(one) for one in late.moved],
    }


def rates_text(found: Rates) -> str:
    """How busy the busiest days are; ids only where they were asked for."""
    if not found.quantiles:
        return "There are no events."
    spread = ", ".join(f"{share:.1%} of users at most {day:,}".replace(".0%", "%") for share, day in found.quantiles)
    rows = [
        [
            f"{one.limit:,}" + (" (yours)" if one.limit == found.asked else ""),
            f"{one.users:,}",
            f"{one.users / found.users:.2%}",
            f"{one.events / found.events:.2%}",
        ]
        for one in found.beyond
    ]
    shown = table(rows, header=["more than, on a day", "users", "of users", "of events"], right=[0, 1, 2, 3])
    lines = [f"Events on a user's busiest day (UTC): {spread}.", "", shown]
    if found.busy:
        named = [[one.user_id, f"{one.busiest_day:,}", iso(one.day)[:10], f"{one.events:,}"] for one in found.busy]
        lines += ["", table(named, header=["user", "busiest day", "which", "events"], right=[1, 3])]
    return "\n".join(lines)


def rates_document(found: Rates) -> dict[str, object]:
    """The same for machines."""
    return {
        "users": found.users,
        "events": found.events,
        "busiest_day_quantiles": {f"{share:g}": day for share, day in found.quantiles},
        "beyond": [asdict(one) for one in found.beyond],
        "busy": [asdict(one) for one in found.busy],
    }


def _features(count: int) -> str:
    return "1 feature" if count == 1 else f"{count} features"
