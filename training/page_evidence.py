"""The sections of a report page that say what was learnt from what, and how good it is."""

from collections.abc import Iterator

from training.leakage import Leaks
from training.metrics import METRICS, calibration_curve
from training.page_parts import Part, Picture, Points, Section, Table, Text
from training.profit import Appraisal
from training.report import SHOWN, STEPS, says_calibration, says_knowledge
from training.run import Training
from training.segments import Segment
from training.splits import Cutoffs
from training.stability import Stability
from training.trial import NAMES, OURS, Trial
from training.worth import brier_says, interval_of_share, says_costs, title_of_way

MORE = {
    "precision_at_5": "precision at 5 %",
    "precision_at_20": "precision at 20 %",
    "recall_at_5": "recall at 5 %",
    "recall_at_20": "recall at 20 %",
    "lift_at_5": "lift at 5 %",
    "lift_at_20": "lift at 20 %",
    "precision_at_capacity": "precision at capacity",
    "brier_reliability": "Brier: reliability",
    "brier_resolution": "Brier: resolution",
    "brier_uncertainty": "Brier: uncertainty",
    "brier_within_bins": "Brier: within bins",
}


def evidence_sections(training: Training) -> list[Section]:
    """Definition, data, split, quality, calibration, worth, segments, steadiness and checks, in this order."""
    return [
        Section("What churn means", (Text(training.definition.says()), Text(f"Definition {training.definition.id}."))),
        Section("What was learnt from", tuple(_data(training))),
        Section("Readiness of the log", tuple(_readiness(training))),
        Section("How time was split", tuple(_split(training))),
        Section("How good it is", tuple(_quality(training.trial))),
        Section("Do probabilities come true", tuple(_calibration(training.trial))),
        Section("Whom the list catches, and what that is worth", tuple(_worth(training.trial))),
        Section("For whom it is good", tuple(_segments(training))),
        Section("How steady the list is", tuple(_stability(training.stability))),
        Section("Leakage checks", tuple(_leaks(training.leaks))),
    ]


def _data(training: Training) -> Iterator[Part]:
    rows = tuple(
        (STEPS[name], f"{facts.rows:,}", f"{facts.users:,}", f"{facts.cutoffs}", f"{facts.churned_share:.1%}")
        for name, facts in training.steps.items()
    )
    yield Table("A row is a user at a cutoff.", ("step", "rows", "users", "cutoffs", "churned"), rows)
    yield Points(
        (
            f"{len(training.features)} features ({training.features.fingerprint}), log version {training.log_version}",
            says_knowledge(training.knowledge),
            training.recipe.says(),
            says_calibration(training.calibration),
            training.level.says(),
        )
    )


def _readiness(training: Training) -> Iterator[Part]:
    if training.readiness is None:
        return
    found = training.readiness
    yield Text(f"The log holds {found.events:,} events of {found.users:,} users.")
    if found.remarks:
        rows = tuple((str(one.level), one.found, one.advice) for one in found.remarks)
        yield Table(
            "What was remarked before learning, and what to do.", ("level", "found", "what to do"), rows, (1, 2)
        )
    else:
        yield Text("Nothing was to be remarked.")


def _split(training: Training) -> Iterator[Part]:
    steps = {name: cutoffs for name, cutoffs in training.split.steps().items() if cutoffs}
    yield Picture("timeline", "Timeline of the steps; the table beneath says the same.")
    rows = tuple(
        (
            name,
            str(len(cutoffs)),
            min(cutoffs).date().isoformat(),
            max(cutoffs).date().isoformat(),
            _closes(training, cutoffs),
        )
        for name, cutoffs in steps.items()
    )
    head = ("step", "cutoffs", "oldest", "newest", "outcome known")
    yield Table("Each step's horizons are over before the next step's cutoff.", head, rows)


def _closes(training: Training, cutoffs: Cutoffs) -> str:
    return training.split.closes(cutoffs).date().isoformat()


def _quality(trial: Trial) -> Iterator[Part]:
    names = tuple(NAMES[name] for name in trial.evaluations)
    shown = {name: title for name, title in SHOWN.items() if name in METRICS}
    yield Table(
        f"{len(trial.labels):,} test rows, 95 % intervals of a bootstrap that draws users. "
        f"Capacity is {trial.capacity:.1%} of the rows.",
        ("metric", *names),
        tuple(_metric(trial, name, title) for name, title in shown.items()),
    )
    gains = tuple(
        (
            NAMES[name],
            *(trial.gain(name, metric=metric).says(digits=4) for metric in ("auc", "pr_auc", "log_loss", "brier")),
        )
        for name in trial.evaluations
        if name != OURS
    )
    yield Table(
        "The model minus each baseline on the same draws: paired. Above 0 is better for AUC, below 0 for losses.",
        ("baseline", "AUC", "PR-AUC", "log loss", "Brier"),
        gains,
    )
    yield Picture("roc_and_pr", "ROC curve and precision-recall curve of the model and its baselines.")
    yield Picture("scores", "Histogram of the predicted probabilities of those who stayed and of those who churned.")
    yield Table("More metrics.", ("metric", *names), tuple(_metric(trial, name, title) for name, title in MORE.items()))
    yield Text(
        "The figures are those of the model fitted on the fit cutoffs. The deployed model follows the same recipe on "
        "newer outcomes: it has seen the test rows, so its own figures will be known when new outcomes are in.",
        "quiet",
    )


def _metric(trial: Trial, name: str, title: str) -> tuple[str, ...]:
    cells = (found.estimates[name] for found in trial.evaluations.values())
    digits = 4 if name.startswith(("brier", "log_loss")) else 3
    return (title, *("-" if cell.missing_because else cell.says(digits=digits) for cell in cells))


def _calibration(trial: Trial) -> Iterator[Part]:
    yield Picture(
        "calibration", "Predicted against observed share of churners in tenths; the table beneath says the same."
    )
    rows = []
    for bin_ in calibration_curve(trial.labels, trial.probabilities[OURS]):
        low, high = interval_of_share(bin_.observed, bin_.rows)
        gap = f"{bin_.predicted - bin_.observed:+.1%}"
        rows.append(
            (f"{bin_.predicted:.1%}", f"{bin_.observed:.1%}", f"{low:.1%} to {high:.1%}", gap, f"{bin_.rows:,}")
        )
    head = ("predicted", "observed", "95 % of its chance", "gap", "rows")
    yield Table("Tenths of the test rows, lowest probabilities first.", head, tuple(rows))
    yield Text(brier_says(trial.ours))


def _worth(trial: Trial) -> Iterator[Part]:
    yield Picture("gains", "Share of churners reached, and lift, by the share of users contacted.")
    if trial.appraisal is None:
        return
    found = trial.appraisal
    costs = " ".join(says_costs(found))
    yield Text(costs[:1].upper() + costs[1:])
    if found.costs.given:
        yield Picture("profit", "Profit by the number of users contacted, for the model and its baselines.")
        yield Table(f"Of {found.rows:,} test rows.", ("way", "contacted", "profit"), tuple(_ways(found)))
    expected = tuple(
        (
            NAMES[name],
            each.says(),
            f"{found.reached[name]:.1%}",
            found.gains[name].says() if name in found.gains else "-",
        )
        for name, each in found.expected.items()
    )
    head = ("model", "profit for each user", "contacted on average", "model minus it")
    yield Table("Expected maximum profit for each user of the population (Verbraken and others 2013).", head, expected)


def _ways(found: Appraisal) -> Iterator[tuple[str, ...]]:
    for way in found.ways[OURS]:
        yield title_of_way(way.name, capacity=found.capacity), f"{way.contacted:,.0f}", way.profit.says(digits=0)


def _segments(training: Training) -> Iterator[Part]:
    if training.explained is None or not training.explained.segments:
        return
    found = training.explained.segments
    yield Picture("segments", "AUC and predicted over observed churners by segment; the table beneath says the same.")
    head = ("segment", "rows", "churned", "AUC", "log loss minus regression's", "predicted ÷ observed")
    yield Table(
        "Test rows by what was known at the cutoff. An AUC within a segment is lower than that of all: telling the "
        "active from the silent is no merit where all are silent.",
        head,
        tuple(_segment(one) for one in found),
    )


def _segment(one: Segment) -> tuple[str, ...]:
    if one.trial is None:
        return (one.name, f"{one.rows:,}", f"{one.churned:,}", "too few", "too few", "too few")
    ours = one.trial.ours
    baselines = [name for name in one.trial.evaluations if name != OURS]
    gain = one.trial.gain(baselines[0], metric="log_loss").says(digits=4) if baselines else "-"
    figures = (ours["auc"].says(), gain, ours["predicted_over_observed"].says(digits=2))
    return (one.name, f"{one.rows:,}", f"{one.churned:,}", *figures)


def _stability(found: Stability) -> Iterator[Part]:
    if not found.steps:
        yield Text("There are no two consecutive cutoffs that could be compared.")
        return
    rows = tuple(
        (
            f"{step.earlier.date().isoformat()} to {step.later.date().isoformat()}",
            f"{step.in_both:,}",
            f"{step.correlation:.3f} [{step.low:.3f}, {step.high:.3f}]",
            f"{step.kept:.0%} of {step.listed:,}",
            f"{step.scores.index:.4f} ({step.scores.noise:.4f})",
        )
        for step in found.steps
    )
    head = ("step", "users in both", "rank correlation", "first tenth kept", "PSI of scores (noise)")
    yield Table("From cutoff to cutoff. A PSI below the noise says nothing.", head, rows)
    moved = tuple((one.name, f"{one.index:.4f}", f"{one.noise:.4f}") for one in found.steps[-1].features if one.seen)
    if moved:
        yield Table("Features that moved by more than chance in the newest step.", ("feature", "PSI", "noise"), moved)


def _leaks(found: Leaks) -> Iterator[Part]:
    rows = tuple(
        (
            check.name,
            "found" if check.found else "clean",
            "; ".join([check.looked_at, *(one.sentence for one in check.found)]),
        )
        for check in found.checks
    )
    if rows:
        yield Table(
            "Whatever is found forbids deploying.", ("check", "result", "what was looked at, and found"), rows, (1, 2)
        )
