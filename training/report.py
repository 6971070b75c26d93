"""The training in a page of plain text: what was learnt from what, how good it is beside simple rules, the verdict."""

from collections.abc import Iterator
from textwrap import wrap

from features.lateness import Knowledge
from training.metrics import Estimate
from training.run import Training
from training.trial import NAMES, OURS
from training.worth import calibration_bins, campaign, steadiness

WIDTH = 110
SHOWN = {
    "auc": "AUC",
    "pr_auc": "PR-AUC",
    "log_loss": "log loss",
    "brier": "Brier",
    "calibration_error": "calib. error",
    "predicted_over_observed": "pred./obs.",
    "lift_at_10": "lift at 10 %",
    "recall_at_10": "recall at 10 %",
    "precision_at_10": "prec. at 10 %",
    "lift_at_capacity": "lift at cap.",
    "recall_at_capacity": "recall at cap.",
}
STEPS = {
    "fit": "fit",
    "calibration": "calibration",
    "test": "test",
    "deployed_fit": "deployed: fit",
}


def report(training: Training) -> str:
    """The report; lines of at most 110 characters, no colours, no trailing newline."""
    sections = (
        _heading("What churn means", [training.definition.says()]),
        *([] if training.readiness is None else [_heading("Readiness of the log", training.readiness.says())]),
        _heading("What was learnt from", _data(training)),
        _heading(
            "How time was split (| a cutoff, = cutoff after cutoff, - the horizon after the last)",
            training.split.says(),
        ),
        _heading("How good it is on the test cutoff, with 95 % intervals", list(_quality(training))),
        *_decisions(training),
        _heading("What moves the score (mean log-odds by family)", _importance(training)),
        _heading("Leakage checks", training.leaks.says()),
        _heading("Verdict", training.verdict.says()),
    )
    return "\n\n".join(sections)


def _decisions(training: Training) -> Iterator[str]:
    """What a decision rests on beside the metrics."""
    yield _heading("Do probabilities come true, by tenths of the test rows", list(calibration_bins(training.trial)))
    if training.trial.appraisal is not None:
        yield _heading("What a retention campaign would bring", list(campaign(training.trial.appraisal)))
    yield _heading("How steady the list is from cutoff to cutoff", list(steadiness(training.stability)))


def _heading(title: str, lines: list[str]) -> str:
    wrapped = [
        part for line in lines for part in (wrap(line, WIDTH, subsequent_indent="  ") if len(line) > WIDTH else [line])
    ]
    return "\n".join([title, "=" * len(title), *wrapped])


def says_calibration(kind: str) -> str:
    """How probabilities came about from margins."""
    if kind == "identity":
        return "probabilities are the blend's own: no correction learnt on one window served the next one better"
    if kind == "stretch":
        return "probabilities are the blend's own, but as far apart as the two newest windows before the test asked for"
    return f"probabilities are corrected by a {kind} calibration, learnt on the two newest windows before the test"


def says_knowledge(knowledge: Knowledge) -> str:
    """What features were allowed to read, and why."""
    read = "what had been received before each cutoff" if knowledge.as_known else "what had happened before each cutoff"
    return f"features read {read}: {knowledge.because}"


def _data(training: Training) -> list[str]:
    rows = [
        f"{STEPS[name]:<22}{facts.rows:>9,} rows  {facts.users:>8,} users  {facts.cutoffs:>3} cutoffs  "
        f"{facts.churned_share:>6.1%} churned"
        for name, facts in training.steps.items()
    ]
    features = (
        f"{len(training.features)} features ({training.features.fingerprint}), log version {training.log_version}"
    )
    learnt = [training.recipe.says(), says_calibration(training.calibration), training.level.says()]
    learnt += [training.tuned.says()] if training.tuned else []
    return [*rows, features, says_knowledge(training.knowledge), *learnt]


def _quality(training: Training) -> Iterator[str]:
    trial = training.trial
    yield f"{'':<14}" + "".join(f"{NAMES[name]:>22}" for name in trial.evaluations)
    for metric, title in SHOWN.items():
        cells = [_cell(trial.evaluations[name].estimates[metric]) for name in trial.evaluations]
        yield f"{title:<14}" + "".join(f"{cell:>22}" for cell in cells)
    yield ""
    for name in trial.evaluations:
        if name != OURS:
            auc, loss = trial.gain(name, metric="auc"), trial.gain(name, metric="log_loss")
            yield f"model minus {NAMES[name] + ':':<22} AUC {auc.says()}   log loss {loss.says(digits=4)}"
    yield ""
    yield f"Capacity (cap.) is {trial.capacity:.1%} of the rows: the users that can be looked after."
    yield "The figures are those of the model fitted on the fit cutoffs. The deployed model follows the same recipe on"
    yield "newer outcomes: it has seen the test rows, so its own figures will only be known when new outcomes are in."


def _importance(training: Training) -> list[str]:
    most = max(training.importance.values(), default=0.0) or 1.0
    return [
        f"{family:<14}{size:>6.3f}  {'#' * round(40 * size / most)}" for family, size in training.importance.items()
    ]


def _cell(estimate: Estimate) -> str:
    if estimate.missing_because:
        return "-"
    return f"{estimate.value:.3f} [{estimate.low:.3f},{estimate.high:.3f}]"
