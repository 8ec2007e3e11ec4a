"""GET /metrics: what Prometheus scrapes, summed over all workers where gunicorn has several.

gunicorn.conf.py names PROMETHEUS_MULTIPROC_DIR, where each worker keeps its numbers and any of them finds all.
"""

import os
import time
from collections.abc import Iterable

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from churn_api.auth import needs

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
blueprint = Blueprint("metrics", __name__)

_requests = Counter("churn_api_requests", "Requests answered.", ("method", "route", "status"))
_seconds = Histogram("churn_api_request_seconds", "Time to an answer, body included.", ("route",), buckets=SECONDS)
_predictions = Counter("churn_api_predictions", "Customers scored.", ("risk_level",))
_version = Gauge("churn_api_model_version", "Model version in use, by worker.", ("alias",), multiprocess_mode="liveall")
_loaded_at = Gauge(
    "churn_api_model_loaded_timestamp_seconds", "When it was loaded.", ("alias",), multiprocess_mode="liveall"
)


def count_requests(app: Flask) -> None:
    """Count and time every answer of an app."""
    app.before_request(_begin)
    app.after_request(_count)


def model_is_used(alias: str, version: int | None) -> None:
    """Tell which version this worker answers with; None: with none."""
    _version.labels(alias).set(version or 0)
    _loaded_at.labels(alias).set_to_current_time()


@blueprint.get("/metrics")
@needs("metrics")
def metrics() -> Response:
    """The numbers of all workers in Prometheus' text format."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _begin() -> None:
    g.counted_from = time.perf_counter()


def _count(response: Response) -> Response:
    """A label takes few values only: the route, not the path, and no method that somebody made up."""
    route = request.url_rule.rule if request.url_rule else "none"
    method = request.method if request.method in METHODS else "other"
    risk_levels = [risk_level for _customer_id, _record, _probability, risk_level in g.get("answered", ())]
    count(method, route, response.status_code, time.perf_counter() - g.counted_from, risk_levels)
    return response


def count(method: str, route: str, status: int, seconds: float, risk_levels: Iterable[str]) -> None:
    """Count an answer, the seconds that it took, and the customers that it scored."""
    _requests.labels(method, route, str(status)).inc()
    _seconds.labels(route).observe(seconds)
    for risk_level in risk_levels:
        _predictions.labels(risk_level).inc()
