"""Prometheus metrics. They contain no text, no path and no user name."""

from __future__ import annotations

from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

import psutil
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from jupyter_turbopilot.completer.completer import EVENTS
from jupyter_turbopilot.completer.tenant import metrics_label
from jupyter_turbopilot.engine.job import DEADLINE, DISCONNECTED, STOPPED, SUPERSEDED, YIELDED
from jupyter_turbopilot.protocol.errors import BusyError, TurbopilotError
from jupyter_turbopilot.protocol.fix import REPEATS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
    from jupyter_turbopilot.protocol.reply import Reply, Timings

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8)
OFFER_KINDS = frozenset({"fix", "check", "rename", *(f"repeat-{kind}" for kind in REPEATS)})
CANCEL_REASONS = frozenset({SUPERSEDED, YIELDED, STOPPED, DISCONNECTED})
_SPEEDS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128)


class Outcome(StrEnum):
    """The outcomes of requests other than CANCEL_REASONS."""

    COMPLETED = "completed"  # the client received text, or the prompt was evaluated in advance
    EMPTY = "empty"  # there was nothing to suggest
    TIMED_OUT = "timed_out"  # without text
    REFUSED = "refused"  # 429
    FAILED = "failed"


def outcome_of(reply: Reply, *, has_text: bool, is_awaited: bool, is_late: bool) -> str:
    """Return the outcome of a request by its last reply.

    `has_text`: whether a reply had text. Another Turbopilot server closes the connection as soon as a
    suggestion is complete, and when it has waited for the time limit (`is_late`).
    """
    if reply.error:
        return outcome_of_error(reply.error)
    if reply.finish_reason in {DEADLINE, DISCONNECTED} and has_text:
        return Outcome.COMPLETED
    if reply.finish_reason == DEADLINE or (reply.finish_reason == DISCONNECTED and is_late):
        return Outcome.TIMED_OUT
    if reply.finish_reason in CANCEL_REASONS:
        return str(reply.finish_reason)
    if reply.finish_reason:  # the engine failed after a line of the index was shown
        return Outcome.FAILED
    return Outcome.COMPLETED if reply.items or not is_awaited else Outcome.EMPTY


def outcome_of_error(error: TurbopilotError) -> Outcome:
    return Outcome.REFUSED if isinstance(error, BusyError) else Outcome.FAILED


class _UserLoad(Collector):
    """The load that each user causes. A digest with the server's secret key replaces the name."""

    def __init__(self, pilot: Pilot) -> None:
        self._pilot = pilot

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "turbopilot_user_seconds", "Seconds of computing, by a digest of the user.", labels=["user"]
        )
        for caller, seconds in self._pilot.worker.seconds_by_caller().items():
            family.add_metric([metrics_label(caller)], seconds)
        yield family


class _CurrentState(Collector):
    """Gauges of the current state, and the completer's counters."""

    def __init__(self, pilot: Pilot) -> None:
        self._pilot = pilot
        self._process = psutil.Process()

    def collect(self) -> Iterator[Metric]:
        worker, counters = self._pilot.worker, self._pilot.completer.counters
        for name, what, value in (
            ("turbopilot_ready", "Whether a completion can start immediately.", float(worker.state.ready)),
            ("turbopilot_queue", "Waiting requests.", float(worker.waiting)),
            ("turbopilot_load_level", "Level of load shedding: 0 to 3.", float(worker.level())),
            ("turbopilot_memory_bytes", "Resident memory of this process.", self._process.memory_info().rss),
        ):
            yield GaugeMetricFamily(name, what, value=value)
        counted = CounterMetricFamily("turbopilot_suggestions", "Suggestions by outcome.", labels=["event"])
        for event in (*EVENTS, "hidden"):
            counted.add_metric([event], counters[event])
        yield counted
        for event, what in (
            ("cache_hits", "Requests answered from the completion cache."),
            ("index_matches", "Requests answered first with a line from the notebook index."),
            ("read", "Requests answered with what the kernel or a folder knows."),
            ("continued", "Requests that continued the generation of an earlier one."),
        ):
            yield CounterMetricFamily(f"turbopilot_{event}", what, value=counters[event])


class Metrics:
    """The metrics of one server."""

    def __init__(self, pilot: Pilot) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "turbopilot_requests",
            "Requests by route, outcome and error code.",
            ["route", "outcome", "code"],
            registry=registry,
        )
        self._first_token = Histogram(
            "turbopilot_first_token_seconds",
            "From the request to the first token.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._tokens_per_second = Histogram(
            "turbopilot_tokens_per_second",
            "Generation speed of each completion, including accepted draft tokens.",
            buckets=_SPEEDS,
            registry=registry,
        )
        self._prompt_tokens = Counter(
            "turbopilot_prompt_tokens", "Prompt tokens.", ["source"], registry=registry
        )
        self._generated_tokens = Counter(
            "turbopilot_predicted_tokens", "Generated tokens.", registry=registry
        )
        self._offers = Counter(
            "turbopilot_offers",
            "Fixes, renames and repeated edits by outcome.",
            ["kind", "event"],
            registry=registry,
        )
        registry.register(_CurrentState(pilot))
        self._user_load = CollectorRegistry()
        self._user_load.register(_UserLoad(pilot))

    def count(self, route: str, outcome: str, error: TurbopilotError | None = None) -> None:
        self._requests.labels(route, outcome, error.code if error else "").inc()

    def count_error(self, route: str, error: TurbopilotError) -> None:
        self.count(route, outcome_of_error(error), error)

    @contextmanager
    def counted_errors(self, route: str) -> Iterator[None]:
        """Count a request that ends with an error in the block."""
        try:
            yield
        except TurbopilotError as error:
            self.count_error(route, error)
            raise

    def count_offer(self, kind: str, event: str) -> None:
        self._offers.labels(kind, event).inc()

    def measure(self, timings: Timings) -> None:
        """Record the token counts and durations of an answer."""
        self._prompt_tokens.labels("evaluated").inc(max(0, timings.prompt_tokens - timings.cached_tokens))
        self._prompt_tokens.labels("reused").inc(timings.cached_tokens)
        self._generated_tokens.inc(timings.predicted_tokens)
        if timings.predicted_tokens:
            self._first_token.observe((timings.queue_ms + timings.context_ms + timings.prompt_ms) / 1000)
        if timings.predicted_ms > 0 and timings.predicted_tokens > 1:
            self._tokens_per_second.observe(1000 * timings.predicted_tokens / timings.predicted_ms)

    def text(self, *, with_users: bool = False) -> bytes:
        return generate_latest(self._registry) + (generate_latest(self._user_load) if with_users else b"")
