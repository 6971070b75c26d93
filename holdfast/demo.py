"""The whole line on real groceries: ingest, train, score, report, and a running API to ask."""

import dataclasses
import shlex
import shutil
import socket
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from features.ingest import Ingested
from holdfast import groceries, log_steps, output, steps, telling
from holdfast.progress import peak_megabytes
from holdfast.session import Session
from holdfast.settings import Churn, Ingest, Mlflow, Store
from serving.store import ScoreStore

if TYPE_CHECKING:
    from serving.store import StoredScore

KEY_NAME = "demo"
_KEY_SCOPES = ("scores:read", "lists:read")
_TOP = 10
# What the demo makes; `--fresh` removes these and nothing else.
_OURS = ("events", "quarantine", "champion", "locks", "mlartifacts", "mlflow.db", "store.db", "watch", "report.html")


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo came to."""

    ingested: Ingested
    trained: steps.Trained
    scored: steps.Scored
    top: tuple["StoredScore", ...]
    token: str


def run(session: Session) -> Demo:
    """Everything before the server; progress on stderr."""
    ours = _session(session)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "groceries.parquet"
        with session.progress.stage("Reading the package's baskets, coupons and mailings"):
            groceries.write_events(file)
        ingested = log_steps.ingest(ours, [str(file)])
    trained = steps.train(ours, cutoff=None, promote=True)
    scored = steps.score(ours, cutoff=None, to=None)
    store = ScoreStore.open(ours.store_url)
    try:
        page = store.at_risk(limit=_TOP)
        for key in store.list_keys():
            if key.name == KEY_NAME and key.works(session.now):
                store.revoke_key(key.prefix, now=session.now)
        token = store.create_key(KEY_NAME, _KEY_SCOPES, now=session.now).token
    finally:
        store.close()
    return Demo(ingested, trained, scored, tuple(page.scores if page else ()), token)


def start_over(session: Session) -> None:
    """Remove what an earlier demo made in the folder, and nothing else."""
    for name in _OURS:
        for found in session.folder.root.glob(f"{name}*"):
            if found.is_dir():
                shutil.rmtree(found)
            else:
                found.unlink()


def report(session: Session, demo: Demo) -> str:
    """The report for people."""
    sections = [
        ("What was read", [groceries.ABOUT_DATA, "", groceries.ABOUT_TIMES, "", telling.ingested_text(demo.ingested)]),
        ("", [telling.trained_text(demo.trained)]),
        (
            f"The {_TOP} users most at risk, as of the last cutoff",
            [telling.scored_text(demo.scored), "", _listed(demo.top)],
        ),
        ("Time by stage", [_times(session)]),
    ]
    return "\n\n".join("\n".join([*([title, "=" * len(title)] if title else []), *lines]) for title, lines in sections)


def document(session: Session, demo: Demo) -> dict[str, object]:
    """The report for machines."""
    return {
        "data": {"about": groceries.ABOUT_DATA, "times": groceries.ABOUT_TIMES},
        "ingested": telling.ingested_document(demo.ingested),
        "trained": telling.trained_document(demo.trained),
        "scored": telling.scored_document(demo.scored),
        "most_at_risk": [
            {
                "user_id": score.user_id,
                "churn_probability": score.churn_probability,
                "reasons": output.sentences(score.reasons_in()),
            }
            for score in demo.top
        ],
        "stages": {stage.name: round(stage.seconds, 2) for stage in session.progress.stages},
        "peak_megabytes": round(peak_megabytes()),
    }


def invitation(demo: Demo, *, address: str) -> str:
    """The lines to try against the running API."""
    key = f"-H 'Authorization: Bearer {demo.token}'"
    first = demo.top[0].user_id if demo.top else "1"
    several = ", ".join(f'"{score.user_id}"' for score in demo.top[:2])
    body = shlex.quote(f'{{"user_ids": [{several}, "nobody"]}}')
    return "\n".join(
        [
            "Try these in another terminal:",
            "",
            f"curl -sw '\\n' {key} {address}/v1/users/{first}/score",
            f"curl -sw '\\n' {key} '{address}/v1/users/at-risk?tier=high&limit=3'",
            f"curl -sw '\\n' {key} -H 'Content-Type: application/json' -d {body} {address}/v1/scores/lookup",
            "",
            f"The API describes itself at {address}/docs. Ctrl-C stops it.",
        ]
    )


def open_port(host: str, wanted: int) -> int:
    """The wanted port if it is free, any free one otherwise."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wanted  # the server will say what is wrong with the host


def _session(session: Session) -> Session:
    """The demo's own settings, whatever the user's file says; only the folder and the server are the user's."""
    settings = dataclasses.replace(
        session.settings,
        ingest=Ingest(user_id="household", time="at", event="what", value="amount", timezone=groceries.TIMEZONE),
        churn=Churn(activity=("purchase",), look_back=timedelta(days=60), horizon=timedelta(days=30)),
        store=Store(),
        mlflow=Mlflow(),
    )
    return dataclasses.replace(session, resolved=dataclasses.replace(session.resolved, settings=settings))


def _listed(top: tuple["StoredScore", ...]) -> str:
    rows = [[score.user_id, f"{score.churn_probability:.1%}", output.sentences(score.reasons_in())] for score in top]
    return output.table(rows, header=["household", "risk", "why (reasons, not causes)"], right=[1])


def _times(session: Session) -> str:
    rows = [[stage.name, f"{stage.seconds:.1f} s"] for stage in session.progress.stages]
    rows += [["all", f"{sum(stage.seconds for stage in session.progress.stages):.1f} s"]]
    rows += [["most memory at once", f"{peak_megabytes():,.0f} MB"]]
    return output.table(rows, header=["", ""], right=[1]).lstrip("\n")
