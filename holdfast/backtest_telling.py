"""What a back-test came to, in words for people and as a document for machines."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from features.windows import format_span, iso
from holdfast.output import table
from training.backtest import Backtest
from training.metrics import Estimate
from training.model_age import Age
from training.segments import Segment
from training.trial import NAMES, OURS, Trial

if TYPE_CHECKING:
    from holdfast.backtest_steps import Backtested

WIDTH = 118
SHOWN = {  # metric: its title, and the digits of a difference
    "auc": ("AUC", 3),
    "pr_auc": ("PR-AUC", 3),
    "log_loss": ("Log loss", 4),
    "brier": ("Brier score", 4),
    "calibration_error": ("Calibration error", 3),
    "predicted_over_observed": ("Predicted ÷ observed churners", 2),
    "recall_at_10": ("Recall at 10 %", 3),
}
ALL = "together"
_NOTHING = "-"


def backtested_text(done: "Backtested") -> str:
    """The report, and where it was put."""
    last = [f"Wrote {', '.join(path.name for path in done.files)} to {done.files[0].parent}."] if done.files else []
    if done.run_id:
        last.append(f"Recorded in MLflow as run {done.run_id}.")
    return "\n\n".join([report(done.found), *(["\n".join(last)] if last else [])])


def backtested_document(done: "Backtested") -> dict[str, object]:
    """The same for machines."""
    return {**done.found.to_json(), "files": list(done.files), "run_id": done.run_id}


def backtested_code(done: "Backtested") -> int:
    """1 where the verdict is "do not deploy", else 0."""
    return int(not done.found.verdict.may_be_promoted)


def report(found: Backtest) -> str:
    """The back-test in plain text: no colours, no trailing newline."""
    sections = [
        _section("What churn means", [found.definition.says()]),
        _section("Origins: each learnt from what had closed before it, and tested on what came after", _origins(found)),
        *(_metric(found, metric) for metric in SHOWN),
        _section("By segment, all origins' rows together", _segments(found)),
        _section("Quality against the model's age: models of earlier origins on later origins' rows", _ages(found)),
        _section("Verdict over all origins", found.verdict.says()),
    ]
    return "\n\n".join(sections)


def _section(title: str, lines: Sequence[str]) -> str:
    wrapped = [
        part for line in lines for part in (wrap(line, WIDTH, subsequent_indent="  ") if _is_prose(line) else [line])
    ]
    return "\n".join([title, "=" * len(title), *wrapped])


def _is_prose(line: str) -> bool:
    return len(line) > WIDTH and "  " not in line


def _origins(found: Backtest) -> list[str]:
    rows = [
        [
            iso(origin.cutoff)[:10],
            f"{len(origin.split.fit)}",
            f"{origin.fit_rows:,}",
            f"{len(origin.trial.labels):,}",
            f"{origin.trial.labels.mean():.1%}",
            origin.recipe.blend if origin.recipe.log_losses else "fixed",
            origin.calibration,
        ]
        for origin in found.origins
    ]
    header = ["test cutoff", "fit cutoffs", "fit rows", "test rows", "churned", "recipe", "calibration"]
    lines = table(rows, header=header, right=[1, 2, 3, 4]).splitlines()
    lines += ["", f"one origin every {format_span(found.every)}{_overlap(found)}."]
    following = [origin for origin in found.origins if origin.level.part]
    if following:
        lines.append(
            f"at {len(following)} of {len(found.origins)} origins the level follows that of a year ago, "
            "because it had served earlier cutoffs."
        )
    if found.share < 1:
        lines.append(f"{found.share:.0%} of the users were drawn at every cutoff ([train] max_rows).")
    lines += [f"left out: {iso(one.cutoff)[:10]}: {one.because}" for one in found.left_out]
    return lines


def _overlap(found: Backtest) -> str:
    return ": horizons overlap, so origins are not news of their own" if found.overlapping else ", no horizons overlap"


def _metric(found: Backtest, metric: str) -> str:
    """The model's metric at each origin and over all; each baseline's with the paired difference."""
    title, digits = SHOWN[metric]
    others = [name for name in found.pooled.evaluations if name != OURS]
    dated = [*((iso(origin.cutoff)[:10], origin.trial) for origin in found.origins), (ALL, found.pooled)]
    rows = [
        [
            date,
            short(trial.ours[metric], digits=min(3, digits)),
            *(_beside(trial, name, metric, digits) for name in others),
        ]
        for date, trial in dated
    ]
    header = ["test cutoff", NAMES[OURS], *(NAMES[name] for name in others)]
    return _section(
        f"{title}: the model's, and each baseline's with what the model is above it (95 % intervals)",
        table(rows, header=header).splitlines(),
    )


def _beside(trial: Trial, name: str, metric: str, digits: int) -> str:
    theirs, gain = trial.evaluations[name][metric], trial.gain(name, metric=metric)
    if theirs.missing_because or gain.missing_because:
        return _NOTHING
    return f"{_bare(theirs.value, digits=min(3, digits))}: {short(gain, digits=digits, sign=True)}"


def _segments(found: Backtest) -> list[str]:
    if not found.segments:
        return ["none: tenure, activity and value are the same for everybody."]
    rules = ("last_seen_rule", "logistic_regression")
    rows = [_of_segment(segment, rules) for segment in found.segments if segment.trial is not None]
    header = ["segment", "rows", "churned", "AUC", *(f"log loss - {NAMES[name]}'s" for name in rules), "pred. ÷ obs."]
    lines = table(rows, header=header, right=[1, 2]).splitlines() if rows else []
    return lines + [f"{segment.name}: {segment.too_few}" for segment in found.segments if segment.trial is None]


def _of_segment(segment: Segment, rules: Sequence[str]) -> list[str]:
    trial = segment.trial
    assert trial is not None  # noqa: S101 - for the type checker: the caller has looked
    return [
        segment.name,
        f"{segment.rows:,}",
        f"{trial.labels.mean():.1%}",
        short(trial.ours["auc"]),
        *(short(trial.gain(name, metric="log_loss"), digits=4, sign=True) for name in rules),
        short(trial.ours["predicted_over_observed"], digits=2),
    ]


def _ages(found: Backtest) -> list[str]:
    rows = [_of_age(age) for age in found.ageing.ages]
    header = ["age, days", "pairs", "rows", "log loss, old minus fresh", "AUC, old minus fresh", "pred. ÷ obs.", ""]
    lines = table(rows, header=header, right=[0, 1, 2]).splitlines() if rows else []
    return [*lines, *_caveat(found.ageing.ages), *([""] if rows else []), found.ageing.says()]


def _of_age(age: Age) -> list[str]:
    return [
        f"{age.days}",
        f"{age.pairs}",
        f"{age.rows:,}",
        short(age.log_loss, digits=4, sign=True),
        short(age.auc, sign=True),
        short(age.level, digits=2),
        ("decay" if age.shown else "") + ("" if age.same_history else " *"),
    ]


def _caveat(ages: Sequence[Age]) -> Iterator[str]:
    if not all(age.same_history for age in ages):
        yield "* some of the old models had learnt from less than half as many cutoffs as the fresh one beside them"


def short(estimate: Estimate, *, digits: int = 3, sign: bool = False) -> str:
    """A figure with its interval in few characters.

    >>> short(Estimate(0.8721, 0.85, 0.888)), short(Estimate(-0.01, -0.02, 1.0), digits=2, sign=True)
    ('.872 [.850,.888]', '-.01 [-.02,+1.00]')
    """
    if estimate.missing_because:
        return _NOTHING
    value, low, high = (_bare(one, digits=digits, sign=sign) for one in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low},{high}]"


def _bare(value: float, *, digits: int, sign: bool = False) -> str:
    """A number without the nought before its point."""
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and not text.lstrip("+-").startswith("1") else text
