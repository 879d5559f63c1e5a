"""Counts for Prometheus: how often, how long, how much; no text, no path and no name of anybody's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector

from jupyter_turbopilot.completer.completer import EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from jupyter_turbopilot.engine.remote.figures import Figures
    from jupyter_turbopilot.pilot.pilot import Pilot
    from jupyter_turbopilot.reply import Timings

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8)
_SPEEDS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128)


class _CurrentState(Collector):
    """Gauges of this moment, and what the completer has counted."""

    def __init__(self, pilot: Pilot) -> None:
        self._pilot = pilot
        self._process = psutil.Process()

    def collect(self) -> Iterator[Metric]:
        """Measure, each time the metrics are asked for."""
        worker, counters = self._pilot.worker, self._pilot.completer.counters
        for name, what, value in (
            ("turbopilot_ready", "Whether a completion could begin at once.", float(worker.state.ready)),
            ("turbopilot_queue", "Requests that wait.", float(worker.waiting)),
            ("turbopilot_memory_bytes", "Resident memory of this process.", self._process.memory_info().rss),
        ):
            yield GaugeMetricFamily(name, what, value=value)
        counted = CounterMetricFamily(
            "turbopilot_suggestions", "What became of suggestions.", labels=["event"]
        )
        for event in (*EVENTS, "hidden"):
            counted.add_metric([event], counters[event])
        yield counted
        for event, what in (
            ("known", "Requests answered without the model."),
            ("recalled", "Requests first answered with a line that the person wrote before."),
            ("taken_over", "Requests that went on with the text of an earlier one."),
        ):
            yield CounterMetricFamily(f"turbopilot_{event}", what, value=counters[event])
        if figures := getattr(worker.engine, "figures", None):
            yield from _elsewhere(figures)


def _elsewhere(figures: Figures) -> Iterator[Metric]:
    """Tell of a server elsewhere since it was connected to."""
    requests = CounterMetricFamily(
        "turbopilot_engine_requests", "Requests to a server elsewhere.", labels=["address"]
    )
    waits = CounterMetricFamily(
        "turbopilot_engine_told_to_wait", "Requests that it answered with 429 or 503.", labels=["address"]
    )
    first = SummaryMetricFamily(
        "turbopilot_engine_first_word_seconds",
        "From a request to the first word of its answer.",
        labels=["address"],
    )
    for address, counted in figures.addresses.items():
        requests.add_metric([address], counted.requests)
        waits.add_metric([address], counted.told_to_wait)
        first.add_metric([address], counted.answers, counted.waited)
    found = CounterMetricFamily(
        "turbopilot_engine_affinity",
        "Answers to a session that was there before, by whether anything read for it was found.",
        labels=["found"],
    )
    found.add_metric(["hit"], figures.hits)
    found.add_metric(["miss"], figures.misses)
    yield from (requests, waits, first, found)
    yield CounterMetricFamily(
        "turbopilot_engine_sessions_moved",
        "Times that a session was answered by another address or replica than before.",
        value=figures.moved,
    )


class Metrics:
    """What a server counts while it answers."""

    def __init__(self, pilot: Pilot) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "turbopilot_requests", "Requests by route and outcome.", ["route", "outcome"], registry=registry
        )
        self._first = Histogram(
            "turbopilot_first_token_seconds",
            "From the request to the first token.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._speed = Histogram(
            "turbopilot_tokens_per_second",
            "How fast each text was written; what had been guessed right costs little and is counted.",
            buckets=_SPEEDS,
            registry=registry,
        )
        self._read = Counter("turbopilot_prompt_tokens", "Tokens of prompts.", ["source"], registry=registry)
        self._wrote = Counter("turbopilot_predicted_tokens", "Tokens written.", registry=registry)
        registry.register(_CurrentState(pilot))

    def count(self, route: str, outcome: str) -> None:
        """Count one more request with its outcome."""
        self._requests.labels(route, outcome).inc()

    def measure(self, timings: Timings) -> None:
        """Take note of what an answer cost."""
        self._read.labels("evaluated").inc(max(0, timings.prompt_tokens - timings.cached_tokens))
        self._read.labels("reused").inc(timings.cached_tokens)
        self._wrote.inc(timings.predicted_tokens)
        if timings.predicted_tokens:
            self._first.observe((timings.queue_ms + timings.context_ms + timings.prompt_ms) / 1000)
        if timings.predicted_ms > 0 and timings.predicted_tokens > 1:
            self._speed.observe(1000 * timings.predicted_tokens / timings.predicted_ms)

    def text(self) -> bytes:
        """Return everything as Prometheus reads it."""
        return generate_latest(self._registry)
