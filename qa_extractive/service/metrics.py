"""What the service measures, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from qa_extractive.service.batching import BatchedRun, BatchStats
from qa_extractive.types import Answer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_TOKENS = (128, 256, 512, 1024, 2048, 4096, 8192)


class Metrics:
    """One registry of its own; meets ``engine.Observer``."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter("qa_requests", "Requests.", ["route", "status"], registry=registry)
        self._request_s = _histogram("qa_request_seconds", "From request to response.", registry, ["route"])
        self._queue_s = _histogram("qa_queue_seconds", "Until a request's windows meet the model.", registry)
        self._tokenize_s = _histogram("qa_tokenize_seconds", "Cutting texts into windows.", registry)
        self._model_s = _histogram("qa_model_seconds", "The model on one batch.", registry)
        self._batch_tokens = Histogram(
            "qa_batch_tokens", "Tokens of one batch.", buckets=_TOKENS, registry=registry
        )
        self._tokens = Counter("qa_tokens", "Tokens that the model read.", registry=registry)
        self._answers = Counter(
            "qa_answers", "Questions, answered or abstained.", ["outcome"], registry=registry
        )
        for outcome in ("answered", "abstained"):
            self._answers.labels(outcome)
        ProcessCollector(registry=registry)

    def watch(self, name: str, about: str, value: Callable[[], float]) -> None:
        """Add a gauge that is read when asked for."""
        Gauge(name, about, registry=self._registry).set_function(value)

    def on_request(self, route: str, status: int, seconds: float) -> None:
        """A request was responded to; ``route`` is its pattern, never the path that was sent."""
        self._requests.labels(route, str(status)).inc()
        self._request_s.labels(route).observe(seconds)

    def on_batch(self, stats: BatchStats) -> None:
        """A batch ran."""
        self._model_s.observe(stats.seconds)
        self._batch_tokens.observe(stats.n_tokens)
        self._tokens.inc(stats.n_tokens)

    def on_tokenized(self, seconds: float) -> None:
        """Questions of a request were cut into windows."""
        self._tokenize_s.observe(seconds)

    def on_run(self, run: BatchedRun) -> None:
        """Windows of a request came back."""
        self._queue_s.observe(run.queue_s)

    def on_answers(self, answers: Sequence[Answer]) -> None:
        """Questions were answered."""
        n_abstained = sum(answer.abstained for answer in answers)
        self._answers.labels("abstained").inc(n_abstained)
        self._answers.labels("answered").inc(len(answers) - n_abstained)

    def exposition(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)


def _histogram(name: str, about: str, registry: CollectorRegistry, labels: Sequence[str] = ()) -> Histogram:
    return Histogram(name, about, labels, buckets=_SECONDS, registry=registry)
