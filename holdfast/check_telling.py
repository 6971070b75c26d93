"""What the check of a log came to, in words for people and as a document for machines."""

from features.windows import iso
from holdfast.check_steps import Checked
from holdfast.output import table


def checked_text(done: Checked, *, onward: str = " Next: holdfast train") -> str:
    """The remarks, what the cutoffs hold, the leakage checks, and what follows."""
    ready = done.readiness
    lines = [
        done.definition.says(),
        f"{ready.events:,} events of {ready.users:,} users, log version {done.log_version}.",
    ]
    lines += ["", *ready.says()]
    if ready.cutoffs:
        rows = [
            [
                iso(each.cutoff)[:10],
                f"{each.users:,}",
                f"{each.churners:,}",
                f"{each.churned_share:.1%}" if each.users else "",
                f"{each.seen_once:,}",
            ]
            for each in ready.cutoffs
        ]
        header = ["cutoff", "users", "churned", "share", "seen once"]
        lines += ["", table(rows, header=header, right=[1, 2, 3, 4])]
    if done.leaks.checks:
        lines += ["", *done.leaks.says()]
    return "\n".join([*lines, "", _last(done, onward)])


def checked_document(done: Checked) -> dict[str, object]:
    """The same for machines."""
    return {
        "fit": done.fit,
        "definition_id": done.definition.id,
        "log_version": done.log_version,
        "readiness": done.readiness.to_json(),
        "leakage": done.leaks.to_json(),
    }


def _last(done: Checked, onward: str) -> str:
    errors, leaks = len(done.readiness.errors), len(done.leaks.findings)
    if done.fit:
        return f"Nothing has to be mended first.{onward}"
    parts = [f"{errors} to mend"] * bool(errors) + [f"{leaks} leaking"] * bool(leaks)
    return f"{' and '.join(parts)}."
