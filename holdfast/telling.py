"""What the steps came to, in words for people and as documents for machines."""

from features.ingest import Ingested
from features.windows import iso
from holdfast.steps import Scored, Trained

_REASONS_SHOWN = 5


def ingested_text(done: Ingested, *, what: str = "events") -> str:
    """What became of the rows; the counts add up."""
    lines = [
        f"Read {done.read:,} rows: {done.accepted:,} new {what}, {done.duplicates:,} duplicates, "
        f"{done.quarantined:,} in quarantine."
    ]
    if done.start is not None and done.end is not None:
        lines.append(f"{what.capitalize()} from {iso(done.start)} to {iso(done.end)}; log version {done.version}.")
    if done.quarantine_file is not None:
        reasons = ", ".join(f"{code} {rows:,}" for code, rows in list(done.reasons.items())[:_REASONS_SHOWN])
        lines.append(f"Why in quarantine: {reasons}. Every row with its place: {done.quarantine_file}")
    return "\n".join(lines)


def ingested_document(done: Ingested) -> dict[str, object]:
    """The same for machines."""
    return {
        "read": done.read,
        "accepted": done.accepted,
        "duplicates": done.duplicates,
        "quarantined": done.quarantined,
        "reasons": done.reasons,
        "quarantine_file": done.quarantine_file,
        "start": done.start,
        "end": done.end,
        "log_version": done.version,
    }


def trained_text(done: Trained) -> str:
    """The report, and whether the model serves now."""
    name = f"Version {done.recorded.version}"
    if done.contest is not None:
        from holdfast.gate_telling import promoted_text  # noqa: PLC0415 as below

        last = promoted_text(done.contest)
    elif done.recorded.promoted:
        last = f"{name} is the champion now. Next: holdfast score"
    elif done.training.verdict.may_be_promoted:
        last = f"{name} is registered as challenger; the champion stays, as asked."
    else:
        last = (
            f"{name} is registered as challenger and does not serve. To use it all the same: holdfast train --promote"
        )
    from training.report import report  # noqa: PLC0415 who only ingests does not wait for LightGBM

    page = "" if done.page is None else f"\nThe report as a page: {done.page}"
    return f"{report(done.training)}\n\n{last}{page}"


def trained_document(done: Trained) -> dict[str, object]:
    """The same for machines."""
    training = done.training
    return {
        "model_version": done.recorded.version,
        "run_id": done.recorded.run_id,
        "promoted": done.promoted,
        "report": done.page,
        "gate": None if done.contest is None else done.contest.verdict.to_json(),
        "verdict": training.verdict.to_json(),
        **training.facts,
    }


def trained_code(done: Trained) -> int:
    """1 for a model that should not be deployed, or that the gate refused, and that was not asked for; else 0."""
    refused = done.contest is not None and done.contest.change is None
    return int((refused or not done.training.verdict.may_be_promoted) and not done.promoted)


def scored_text(done: Scored, *, onward: str = " Next: holdfast at-risk") -> str:
    """Who was scored, as of when, and where the scores are; `onward` says what to do with a run of them."""
    facts = done.facts
    tiers = ", ".join(f"{users:,} {tier}" for tier, users in done.tiers.items())
    start, end = iso(facts.horizon.start)[:10], iso(facts.horizon.end)[:10]
    lines = [
        f"Scored {done.users:,} users as of {iso(facts.cutoff)} ({tiers}); "
        f"{done.outside:,} more are known but {_why_outside(done)}.",
        f"Churn is looked for from {start} to {end}; on average {done.mean_churn_probability:.1%} will leave.",
    ]
    if done.run_id is not None:
        lines.append(f"Run {done.run_id} is the one that is served.{onward}")
    if done.file is not None:
        lines.append(f"Wrote {done.file}.")
    return "\n".join(lines)


def _why_outside(done: Scored) -> str:
    meant = done.facts.model["definition"]
    return "were not active in the look-back" if meant["kind"] == "inactivity" else "are no subscribers"


def scored_document(done: Scored) -> dict[str, object]:
    """The same for machines."""
    facts = done.facts
    return {
        "run_id": done.run_id,
        "users": done.users,
        "outside_population": done.outside,
        "mean_churn_probability": done.mean_churn_probability,
        "tiers": done.tiers,
        "cutoff": facts.cutoff,
        "horizon": {"start": facts.horizon.start, "end": facts.horizon.end},
        "valid_until": facts.valid_until,
        "model_version": facts.model_version,
        "definition_id": facts.definition_id,
        "written": done.file,
    }
