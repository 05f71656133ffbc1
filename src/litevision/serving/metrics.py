"""What a server counts and times, for Prometheus."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters and histograms of one server; a `litevision.serving.batcher.Observer`. Threads may share it."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a time beside each counter, which nobody asks for
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "litevision_requests", "Requests that were answered.", ("route", "method", "status"), registry=registry
        )
        self._seconds = Histogram(
            "litevision_request_seconds",
            "Seconds from a request's headers to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._images = Counter(
            "litevision_images", "Images by what became of them.", ("model", "outcome"), registry=registry
        )
        self._errors = Counter(
            "litevision_errors", "Requests that were refused or failed.", ("kind",), registry=registry
        )
        self._stages = Histogram(
            "litevision_stage_seconds",
            "Seconds of an image in decode and queue, and of a batch in infer.",
            ("model", "stage"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._batches = Histogram(
            "litevision_batch_size", "Images that were computed at once.", ("model",), buckets=_SIZES, registry=registry
        )
        self._under_way = Gauge("litevision_requests_under_way", "Requests that are being answered.", registry=registry)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show a value that is asked for whenever the metrics are."""
        Gauge(f"litevision_{name}", text, registry=self._registry).set_function(value)

    def stage(self, model: str, stage: str, seconds: float) -> None:
        self._stages.labels(model, stage).observe(seconds)

    def batch(self, model: str, size: int) -> None:
        self._batches.labels(model).observe(size)

    def began(self) -> None:
        """A request has come."""
        self._under_way.inc()

    def ended(self, route: str, method: str, status: int, seconds: float) -> None:
        """It has been answered."""
        self._under_way.dec()
        self._requests.labels(route, method, status).inc()
        self._seconds.labels(route).observe(seconds)

    def images(self, model: str, outcome: str, count: int) -> None:
        """So many images were answered (``ok``), or could not be read (``error``)."""
        if count:
            self._images.labels(model, outcome).inc(count)

    def error(self, kind: str) -> None:
        """A request was refused or failed."""
        self._errors.labels(kind).inc()

    def text(self) -> bytes:
        """All of it as Prometheus reads it."""
        return generate_latest(self._registry)
