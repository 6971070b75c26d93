"""What a look came to, in words, as a page, as metrics for Prometheus, and as a document."""

import html
import json

from features.windows import iso
from holdfast import telling
from holdfast.watch_steps import Cycle, Looked
from training.pulse import Pulse
from training.watch import Finding, Gravity, Watched

_WIDTH, _HEIGHT = 630, 90  # of the picture of events by day
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #000;
  background: #fff }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top; padding: .4rem .6rem;
  border-bottom: 1px solid #999 }
.alarm td:first-child { background: #000; color: #fff; font-weight: bold } .warning td:first-child { font-weight: bold }
.ok { color: #444 } pre { white-space: pre-wrap; font-size: .8rem } figure { margin: 1.5rem 0 }
h1 { font-size: 1.6rem; line-height: 1.25 } tr { break-inside: avoid }
@media (max-width: 36rem) { h1 { font-size: 1.25rem } thead { display: none } tr { display: block; padding: .5rem 0;
  border-bottom: 1px solid #999 } td { display: block; border: 0; padding: .15rem .5rem } td:first-child {
  display: inline-block } td:empty { display: none } }
"""


def watched_text(looked: Looked) -> str:
    """The report: what it comes to, then every finding, gravest first."""
    found = looked.watched
    lines = [_headline(found), "", *(finding.says() for finding in found.findings)]
    if looked.files:
        lines += ["", "Wrote " + ", ".join(map(str, looked.files)) + "."]
    if looked.trouble:
        lines += ["", looked.trouble]
    return "\n".join(lines)


def watched_document(looked: Looked) -> dict[str, object]:
    """The same for machines."""
    return {
        **looked.watched.to_json(),
        "files": list(looked.files),
        "webhook_trouble": looked.trouble or None,
    }


def watched_code(looked: Looked) -> int:
    """1 for an alarm."""
    return int(looked.watched.gravity is Gravity.ALARM)


def page(looked: Looked) -> str:
    """One HTML page that needs nothing else, and no colours to be understood."""
    found = looked.watched
    rows = "\n".join(_row(finding) for finding in found.findings)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Holdfast watch: {found.gravity.word}</title><style>{_STYLE}</style></head><body>
<h1>{html.escape(_headline(found))}</h1>
{_picture(looked.seen)}
<table><thead><tr><th scope="col">Level</th><th scope="col">Found</th><th scope="col">What to do</th></tr></thead>
<tbody>
{rows}
</tbody></table></body></html>"""


def metrics(found: Watched) -> str:
    """The look in the text format of Prometheus, for the node exporter's textfile collector."""
    gravest: dict[str, int] = {}
    for finding in found.findings:
        gravest[finding.code] = max(int(finding.gravity), gravest.get(finding.code, 0))
    figures = {finding.code: finding.figures for finding in found.findings}
    lines = [
        *_metric("level", "Gravest finding: 0 ok, 1 advice, 2 warning, 3 alarm.", {"": int(found.gravity)}),
        *_metric(
            "finding",
            "Gravity of each finding.",
            {f'{{code="{code}"}}': level for code, level in sorted(gravest.items())},
        ),
        *_metric("retrain_called_for", "Whether a new model is called for.", {"": int(found.retrain)}),
        *_metric("timestamp_seconds", "When the look was taken, Unix time.", {"": found.at.timestamp()}),
    ]
    age = figures.get("fresh", figures.get("stale", {})).get("age_days")
    if age is not None:
        lines += _metric("event_age_days", "Age of the newest event.", {"": age})
    shown = _aucs(figures)
    if shown:
        lines += _metric("auc", "AUC shown at training, observed since, and estimated for the current run.", shown)
    return "\n".join(lines)


def cycle_text(done: Cycle) -> str:
    """What each step came to, in its order."""
    parts = []
    if done.ingested is not None:
        parts.append(("Ingested", telling.ingested_text(done.ingested)))
    if done.scored is not None:
        parts.append(("Scored", telling.scored_text(done.scored)))
    if done.looked is not None:
        parts.append(("Watched", watched_text(done.looked)))
    if done.trained is not None:
        parts.append(("Trained", telling.trained_text(done.trained)))
    if done.trouble:
        parts.append(("Not trained", done.trouble))
    if done.scored_again is not None:
        parts.append(("Scored with the new champion", telling.scored_text(done.scored_again)))
    return "\n\n".join(f"== {name} ==\n{text}" for name, text in parts)


def cycle_document(done: Cycle) -> dict[str, object]:
    """The same for machines; steps that were not taken are null."""
    return {
        "ingested": None if done.ingested is None else telling.ingested_document(done.ingested),
        "scored": None if done.scored is None else telling.scored_document(done.scored),
        "watched": None if done.looked is None else watched_document(done.looked),
        "trained": None if done.trained is None else telling.trained_document(done.trained),
        "scored_again": None if done.scored_again is None else telling.scored_document(done.scored_again),
        "not_trained_because": done.trouble or None,
    }


def cycle_code(done: Cycle) -> int:
    """1 for an alarm, a training that did not come about, or where there is still nothing to serve."""
    alarm = done.looked is not None and watched_code(done.looked) != 0
    return int(alarm or bool(done.trouble) or done.scored is None)


def _headline(found: Watched) -> str:
    counts = {each: sum(finding.gravity is each for finding in found.findings) for each in Gravity}
    named = [
        f"{counts[each]} {each.word}{'s' if counts[each] > 1 and each is not Gravity.ADVICE else ''}"
        for each in (Gravity.ALARM, Gravity.WARNING, Gravity.ADVICE)
        if counts[each]
    ]
    model = "no model yet" if found.model_version is None else f"version {found.model_version}"
    return f"Watch of {iso(found.at.replace(microsecond=0))}, {model}: {', '.join(named) or 'all is well'}"


def _row(finding: Finding) -> str:
    figures = ""
    if finding.figures:
        shown = html.escape(json.dumps(finding.figures, indent=1, default=str))
        figures = f"<details><summary>figures</summary><pre>{shown}</pre></details>"
    return (
        f'<tr class="{finding.gravity.word}"><td>{finding.gravity.word}</td>'
        f"<td>{html.escape(finding.found)}{figures}</td><td>{html.escape(finding.do)}</td></tr>"
    )


def _picture(seen: Pulse) -> str:
    """Events of each of the newest days as bars."""
    counts = seen.total.tolist()
    most = max([*counts, 1])
    wide = _WIDTH / max(1, len(counts))
    bars = "".join(
        f'<rect x="{place * wide:.1f}" y="{_HEIGHT - count / most * _HEIGHT:.1f}" width="{wide * 0.8:.1f}" '
        f'height="{count / most * _HEIGHT:.1f}"/>'
        for place, count in enumerate(counts)
    )
    says = f"Events a day in the {len(counts)} days to {iso(seen.end)[:10]}, {most:,} at most"
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" width="100%"><title>{says}</title>{bars}</svg>'
        f"<figcaption>{says}</figcaption></figure>"
    )


def _metric(name: str, says: str, samples: dict[str, float]) -> list[str]:
    full = f"holdfast_watch_{name}"
    return [
        f"# HELP {full} {says}",
        f"# TYPE {full} gauge",
        *(f"{full}{labels} {value}" for labels, value in samples.items()),
    ]


def _aucs(figures: dict[str, dict[str, object]]) -> dict[str, float]:
    """What is known of the AUC, by where it is from."""
    everybody, expected = figures.get("quality", {}).get("all"), figures.get("estimate", {})
    found = {
        "observed": everybody.get("auc") if isinstance(everybody, dict) else None,
        "estimated": expected.get("auc"),
    }
    known = {name: each["value"] for name, each in found.items() if isinstance(each, dict)}
    shown = expected.get("promised_auc")
    if isinstance(shown, float):
        known["promised"] = shown
    return {f'{{from="{name}"}}': value for name, value in sorted(known.items())}
