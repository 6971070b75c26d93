"""The report of a training as one HTML page that needs nothing else: for people who look rather than read."""

from collections.abc import Mapping

from features.windows import iso
from training.page_evidence import evidence_sections
from training.page_explained import explained_sections
from training.page_parts import Page, Section, render, sections_of
from training.run import Training


def report_page(training: Training, *, pictures: Mapping[str, bytes]) -> str:
    """The page; `pictures` are the drawn figures as PNG, by name. It holds no user's id."""
    sections = sections_of([*evidence_sections(training), *explained_sections(training)], pictures=pictures)
    return render(_page(training, sections=sections), pictures=pictures)


def _page(training: Training, *, sections: tuple[Section, ...]) -> Page:
    test = training.steps["test"]
    return Page(
        title="Churn model report",
        lead=training.definition.says(),
        decision=str(training.verdict.decision),
        reasons=tuple(_sentence(finding.sentence) for finding in training.verdict.findings),
        facts=(
            ("trained", iso(training.trained_at.replace(microsecond=0))),
            ("tested on", f"{test.rows:,} rows of {test.users:,} users, {test.churned_share:.1%} of whom churned"),
            ("AUC", training.trial.ours["auc"].says()),
            ("log loss", training.trial.ours["log_loss"].says()),
            ("predicted ÷ observed", training.trial.ours["predicted_over_observed"].says(digits=2)),
            ("definition", training.definition.id),
            ("features", f"{len(training.features)} ({training.features.fingerprint})"),
            ("event log", f"version {training.log_version}"),
            ("code", training.code_version),
        ),
        sections=sections,
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
