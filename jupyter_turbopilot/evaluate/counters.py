"""Reads from a server's counters how many requests reached its model in a second. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from jupyter_turbopilot.engine.job import DEADLINE, DISCONNECTED, STOPPED, SUPERSEDED
from jupyter_turbopilot.errors import BadRequestError

_REQUESTS, _CREATED = "turbopilot_requests_total", "turbopilot_requests_created"
_KNOWN, _TAKEN_OVER = "turbopilot_known_total", "turbopilot_taken_over_total"
# What was refused, or given up before it began, gave the model nothing to do.
_SERVED = frozenset({"answered", SUPERSEDED, DISCONNECTED, DEADLINE, STOPPED})
_WHAT = "Give what GET turbopilot/metrics of a server of ours answers, or its address."


@dataclass(frozen=True)
class Counted:
    """What a server has counted up to a moment."""

    at: float  # seconds since 1970
    since: float  # when it began to count
    requests: float  # that had the model begin a text


def read(text: str, at: float) -> Counted:
    """Read counters as Prometheus gets them."""
    requests, since = 0.0, at
    saved: dict[str, float] = {}  # requests with which the model began nothing
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == _REQUESTS and sample.labels.get("outcome") in _SERVED:
                    requests += sample.value
                elif sample.name == _CREATED:
                    since = min(since, sample.value)
                elif sample.name in {_KNOWN, _TAKEN_OVER}:
                    saved[sample.name] = sample.value
    except ValueError:
        raise BadRequestError(f"These are no counters. {_WHAT}", field="from_metrics") from None
    if not (len(saved) == 2 and math.isfinite(requests + sum(saved.values()) + since)):  # noqa: PLR2004
        raise BadRequestError(
            f"These are not the counters of a server of ours. {_WHAT}", field="from_metrics"
        )
    return Counted(at, since, max(0.0, requests - sum(saved.values())))


def requests_per_second(now: Counted, earlier: Counted | None = None) -> float:
    """Return the requests a second since an earlier moment, or since the counting began."""
    begun, before = (earlier.at, earlier.requests) if earlier else (now.since, 0.0)
    if earlier and (now.since > earlier.at or now.requests < before):
        raise BadRequestError(
            "The server was started again between the two. Take both after its start.", field="from_metrics"
        )
    if now.at - begun < 1 or now.requests <= before:
        raise BadRequestError(
            "Nothing was counted in that time. Take the counters while people type, at least a second apart.",
            field="from_metrics",
        )
    return (now.requests - before) / (now.at - begun)
