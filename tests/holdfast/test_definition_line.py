"""The whole line with every kind of definition: ingest, train, score, list and build on a small log of subscribers."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from tests.said import here
from tests.subscribers import MONTH, Deed, subscribers, write_log

QUICK = ["--max-cutoffs", "6", "--trees", "20", "--replicates", "20", "--look-back", "28d", "--horizon", "14d"]


@pytest.fixture(scope="module")
def history() -> dict[str, list[Deed]]:
    return subscribers()


@pytest.fixture(scope="module")
def end(history: dict[str, list[Deed]]) -> float:
    """The end of the log, at which everybody is scored: the second after the newest event."""
    return max(deed.day for deeds in history.values() for deed in deeds) + 1 / 86_400


@pytest.fixture(scope="module")
def log(history: dict[str, list[Deed]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("log") / "events.csv", history)


def last(deeds: Sequence[Deed], *kinds: str, least: float = 0.0) -> float:
    return max((deed.day for deed in deeds if deed.kind in kinds and deed.value >= least), default=-1e9)


def is_active(deeds: Sequence[Deed], end: float) -> bool:
    return last(deeds, "visit", least=5.0) >= end - 28


def is_subscribed(deeds: Sequence[Deed], _end: float) -> bool:
    return last(deeds, "subscribe") > last(deeds, "cancel")


def is_paid(deeds: Sequence[Deed], end: float) -> bool:
    return last(deeds, "renewal") + MONTH + 3 > end


FEATURES = """
from features.language import days, events, feature_set

visits = events("visit")
few = feature_set(
    days_since_last_visit=visits.days_since_last(),
    visits_14d=visits.count(last=days(14)),
    visits_56d=visits.count(last=days(56)),
    days_since_last_renewal=events("renewal").days_since_last(),
)
"""
Member = Callable[[Sequence[Deed], float], bool]
KINDS: dict[str, tuple[list[str], Member]] = {
    "valued": (["--activity", "visit", "--least-value", "5"], is_active),
    "cancel": (["--churn-kind", "cancel", "--cancel", "cancel", "--starts", "subscribe"], is_subscribed),
    "lapse": (["--churn-kind", "lapse", "--renewal", "renewal", "--paid-until", "expires", "--grace", "3d"], is_paid),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_goes_from_raw_events_to_a_list(
    kind: str, log: Path, history: dict[str, list[Deed]], end: float, tmp_path: Path
) -> None:
    options, is_member = KINDS[kind]
    (tmp_path / "few.py").write_text(FEATURES, "utf-8")
    options = [*options, "--features", "few.py"]
    for arguments in (
        ["ingest", str(log)],
        ["train", "--promote", *QUICK, *options],
        ["score", "--to", "scores.csv"],
        ["features", "build", "--to", "built", *QUICK[-4:], *options],
    ):
        said = here(*arguments, folder=tmp_path)
        assert said.code == 0, said.err
    with (tmp_path / "scores.csv").open(newline="") as lines:
        scored = {row["user_id"]: float(row["churn_probability"]) for row in csv.DictReader(lines)}
    members = {user for user, deeds in history.items() if is_member(deeds, end)}
    assert scored.keys() == members
    assert len(set(scored.values())) > 10
    listed = here("at-risk", "--top", "3", "--json", folder=tmp_path).document["users"]
    assert {user["user_id"] for user in listed} < members
    built = ds.dataset(tmp_path / "built", format="parquet").to_table(columns=["user_id"])
    assert set(built["user_id"].to_pylist()) == members


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--churn-kind", "cancel", "--cancel", "leave"], "no events of kind 'leave'; expected --cancel to name"),
        (["--churn-kind", "lapse", "--renewal", "pay", "--period-days", "30"], "expected --renewal to name"),
        (
            ["--churn-kind", "lapse", "--renewal", "renewal", "--paid-until", "until"],
            "no event of the log has the property 'until', which is to say for how long a renewal pays",
        ),
    ],
)
def test_what_the_log_has_not_got_is_told_before_the_work(
    options: list[str], words: str, log: Path, tmp_path: Path
) -> None:
    assert here("ingest", str(log), folder=tmp_path).code == 0
    said = here("train", *options, folder=tmp_path)
    assert said.code == 3
    assert words in said.err
