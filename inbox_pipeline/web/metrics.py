"""A dozen hand-picked numbers for Prometheus.

Belongs here: the registry and what is counted in this process. Does not belong here: SQL (`services/health.py`). Labels
are statuses, dispositions, methods and route templates; never a path, a name or a patient value.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from inbox_pipeline.errors import Unavailable
from inbox_pipeline.services import health
from inbox_pipeline.services.site import Site

CATALOG_SECONDS = 10.0
"""Counts over whole tables are taken at most this often, however often somebody scrapes."""

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Metrics:
    """The numbers of one web process and its site."""

    def __init__(self, site: Site) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "inbox_pipeline_http_requests",
            "HTTP requests by method, route template and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "inbox_pipeline_http_request_seconds",
            "Seconds from an HTTP request's head to the end of its answer.",
            ("route",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_CatalogCounts(site))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one HTTP request."""
        self._requests.labels(method, route, str(int(status))).inc()
        self._seconds.labels(route).observe(seconds)

    def exposition(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self._registry)


class _CatalogCounts(Collector):
    """Requests by status and files by disposition, counted in the catalog at scrape time."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._counted: tuple[float, health.Counts] | None = None

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the names are known without counting."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges; `inbox_pipeline_catalog_up` alone when the catalog does not answer."""
        up = GaugeMetricFamily("inbox_pipeline_catalog_up", "1 when the catalog answers.")
        try:
            counts = self._counts()
        except Unavailable:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        requests = _gauge("inbox_pipeline_requests", "Import requests by status.", "status", counts.requests)
        files = _gauge("inbox_pipeline_files", "Ledger rows by disposition.", "disposition", counts.files)
        return [up, requests, files]

    def _counts(self) -> health.Counts:
        with self._lock:
            if self._counted is None or time.monotonic() - self._counted[0] > CATALOG_SECONDS:
                self._counted = (time.monotonic(), health.counts(self._site))
            return self._counted[1]


def _gauge(name: str, text: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family
