"""What the service counts of itself, for Prometheus: by route pattern, never by path, so nothing personal is in it.

Several workers count into files of one folder (`PROMETHEUS_MULTIPROC_DIR`, which `serving.run` sets), so that whichever
of them is asked tells of all. What is to be known of the scores comes from the store when somebody asks.
"""

import os
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from serving.run import FOLDER_VARIABLE
from serving.store.overview import BOUNDS, Overview

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Meters:
    """The counters of this process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "holdfast_http_request_duration_seconds",
            "Time from a request's arrival to the end of its answer.",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._in_flight = Gauge(
            "holdfast_http_requests_in_flight",
            "Requests that are being answered.",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self._problems = Counter("holdfast_problems", "Problems told, by code.", ["code"], registry=self.registry)
        self._known: dict[tuple[str, str, int], Any] = {}  # Any: a labelled histogram; finding it costs more than it

    def begin(self) -> None:
        """A request has come."""
        self._in_flight.inc()

    def end(self, method: str, pattern: str, *, status: int, seconds: float) -> None:
        """It has been answered; the pattern is '-' where there is nothing at its address."""
        self._in_flight.dec()
        labels = (method if pattern != "-" else "-", pattern, status // 100)
        known = self._known.get(labels)
        if known is None:
            known = self._known[labels] = self._seconds.labels(labels[0], pattern, f"{labels[2]}xx")
        known.observe(seconds)

    def problem(self, code: str) -> None:
        """A problem was told."""
        self._problems.labels(code).inc()


@cache
def meters() -> Meters:
    """The counters of this process, made when they are first wanted: by then the folder must be known."""
    return Meters()


def exposition(families: Iterable[Metric]) -> bytes:
    """All counters of all workers and the families given, as Prometheus reads them."""
    registry = meters().registry
    if FOLDER_VARIABLE in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library's
    return generate_latest(registry) + generate_latest(_Given(families))


class _Given(CollectorRegistry):
    """Families that are known already, in the shape in which they are asked for."""

    def __init__(self, families: Iterable[Metric]) -> None:
        super().__init__()
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        """The families."""
        return self._families


def of_the_scores(overviews: Iterable[Overview], *, now: datetime) -> list[Metric]:
    """What is to be known of the current runs, by tenant; instants are Unix seconds."""
    gauges = {
        name: GaugeMetricFamily(f"holdfast_{name}", says, labels=["tenant"])
        for name, says in (
            ("run_id", "The current run."),
            ("run_users", "Users with a score in the current run."),
            ("run_scored_timestamp_seconds", "When the current run was written."),
            ("run_cutoff_timestamp_seconds", "The current run knows events before this moment."),
            ("run_valid_until_timestamp_seconds", "The current run is not to be acted on after this moment."),
            ("data_age_seconds", "How long ago the cutoff of the current run was."),
            ("runs_kept", "Complete runs in the store."),
        )
    }
    tiers = GaugeMetricFamily("holdfast_run_tier_users", "Users by risk tier.", labels=["tenant", "tier"])
    absent = GaugeMetricFamily(
        "holdfast_run_users_without_score", "Known users without a score, by reason.", labels=["tenant", "reason"]
    )
    model = GaugeMetricFamily(
        "holdfast_run_model_info", "The model behind the current run.", labels=["tenant", "version", "definition"]
    )
    probability = HistogramMetricFamily(
        "holdfast_run_churn_probability", "Scores of the current run.", labels=["tenant"]
    )
    for each in overviews:
        run, facts, tenant = each.run, each.run.facts, [each.tenant]
        values = {
            "run_id": run.run_id,
            "run_users": run.users,
            "run_scored_timestamp_seconds": run.scored_at.timestamp(),
            "run_cutoff_timestamp_seconds": facts.cutoff.timestamp(),
            "run_valid_until_timestamp_seconds": facts.valid_until.timestamp(),
            "data_age_seconds": now.timestamp() - facts.cutoff.timestamp(),
            "runs_kept": each.runs_kept,
        }
        for name, value in values.items():
            gauges[name].add_metric(tenant, value)
        for group in run.groups:
            if group.by == "risk_tier":
                tiers.add_metric([*tenant, group.name], group.users)
        for reason, users in each.absent.items():
            absent.add_metric([*tenant, reason], users)
        model.add_metric([*tenant, facts.model_version, facts.definition_id], 1)
        bounds = [f"{bound:g}" for bound in BOUNDS] + ["+Inf"]
        buckets = [(bound, float(users)) for bound, users in zip(bounds, each.users_up_to, strict=True)]
        probability.add_metric(tenant, buckets, each.probability_sum)
    return [*gauges.values(), tiers, absent, model, probability]


def of_the_service(*, store_up: bool, champions: dict[str, str], troubles: dict[str, str]) -> list[Metric]:
    """Whether the store answers, and the champions that fresh scores are computed with."""
    up = GaugeMetricFamily("holdfast_store_up", "1 when the store answers.", value=float(store_up))
    served = GaugeMetricFamily(
        "holdfast_champion_info", "The model that fresh scores are computed with.", labels=["tenant", "version"]
    )
    trouble = GaugeMetricFamily(
        "holdfast_champion_trouble", "1 when the newest champion cannot be served.", labels=["tenant"]
    )
    for tenant, version in champions.items():
        served.add_metric([tenant, version], 1)
    for tenant in {*champions, *troubles}:
        trouble.add_metric([tenant], float(tenant in troubles))
    return [up, served, trouble]
