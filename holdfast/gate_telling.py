"""What became of champion and challenger, in words for people and as documents for machines."""

from collections.abc import Sequence
from dataclasses import asdict

from holdfast.gate_steps import Promoted, RolledBack, when
from holdfast.output import table
from holdfast.telling import scored_document
from models.champions import Change
from training.gate import Verdict

_RERUN = "holdfast score"


def verdict_text(verdict: Verdict) -> str:
    """What was compared on what, a line a check, and the verdict."""
    lines = [*_compared(verdict), ""]
    lines += [f"{'pass' if check.passed else 'FAIL'}  {check.name}: {check.sentence}" for check in verdict.checks]
    failed = ", ".join(check.name for check in verdict.failed)
    last = "passes the gate" if verdict.passed else f"does not pass the gate: {failed}"
    return "\n".join([*lines, "", f"Version {verdict.challenger} {last}."])


def promoted_text(done: Promoted) -> str:
    """The verdict, and who is champion now."""
    return f"{verdict_text(done.verdict)}\n{outcome_text(done)}"


def outcome_text(done: Promoted) -> str:
    """Who is champion now."""
    version, champion = done.version, done.verdict.champion
    if done.change is None:
        why = "To promote it all the same: " + f'holdfast promote {version} --force --reason "why"'
        stays = "There is still no champion" if champion is None else f"Version {champion} stays champion"
        return f"{stays}. {why}"
    forced = "" if done.verdict.passed else f" by force ({done.change.reason})"
    return f"Version {version} is the champion now{forced}. The API follows at the next run of scores: {_RERUN}"


def promoted_document(done: Promoted) -> dict[str, object]:
    """The same for machines."""
    return {
        "version": done.version,
        "promoted": done.change is not None,
        "change": None if done.change is None else done.change.to_json(),
        "verdict": done.verdict.to_json(),
    }


def rolled_back_text(done: RolledBack) -> str:
    """Who serves again, whose scores the API answers with, and what is left to do."""
    change = done.change
    lines = [f"Version {change.version} is the champion again instead of {change.before} ({change.reason})."]
    if done.served is not None:
        facts = done.served.facts
        lines.append(
            f"The API answers from its run {done.served.run_id} again, as of {when(facts.cutoff)}, after "
            f"{done.seconds:.1f} seconds. For scores as of now: {_RERUN}"
        )
    elif done.scored is not None:
        lines.append(
            f"None of its runs was kept, so everybody was scored with it: run {done.scored.run_id} is served now."
        )
    else:
        lines.append(f"The API still answers with what it had: {done.trouble.rstrip('.')}. Run it now: {_RERUN}")
    return "\n".join(lines)


def rolled_back_document(done: RolledBack) -> dict[str, object]:
    """The same for machines."""
    run = None if done.served is None else done.served.run_id
    return {
        **done.change.to_json(),
        "served_run": run if done.scored is None else done.scored.run_id,
        "served_run_was_kept": done.served is not None,
        "scored": None if done.scored is None else scored_document(done.scored),
        "trouble": done.trouble,
        "seconds": done.seconds,
    }


def history_text(changes: Sequence[Change]) -> str:
    """A line a change, oldest first."""
    rows = [[when(one.at), one.version, one.before, str(one.how), one.reason] for one in changes]
    return table(rows, header=["when", "version", "instead of", "how", "reason"], right=[1, 2])


def history_document(changes: Sequence[Change]) -> dict[str, object]:
    """The same for machines."""
    return {"champions": [{**asdict(one), "how": str(one.how)} for one in changes]}


def _compared(verdict: Verdict) -> list[str]:
    version, champion = verdict.challenger, verdict.champion
    if champion is None:
        return [f"Version {version}; nothing serves yet, so there is no champion to compare it with."]
    head = f"Version {version} against version {champion}, which is what it would take the place of"
    found = verdict.evidence
    if not found:
        return [f"{head}; they were not asked about anybody."]
    windows = found["windows"]
    first, last = windows[0][:10], windows[-1][:10]
    span = first if first == last else f"{first} to {last}"
    return [
        f"{head}, on {found['rows']:,} rows of {found['users']:,} users at {len(windows)} windows ({span}), "
        f"{found['churned_share']:.1%} churned.",
        f"Shown: version {champion} {found['champion_shown']}; version {version} {found['challenger_shown']}.",
    ]
