"""The request rate of a running server, from its metrics."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families

from jupyter_turbopilot.engine.job import DISCONNECTED, STOPPED, SUPERSEDED
from jupyter_turbopilot.models.connection import IDENTITY, page
from jupyter_turbopilot.protocol.errors import BadRequestError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import Sequence

_REQUESTS, _CREATED = "turbopilot_requests_total", "turbopilot_requests_created"
_SAVED = {
    "turbopilot_cache_hits_total",
    "turbopilot_continued_total",
}  # requests that did not reach the model
# Refused requests, and those cancelled in the queue, cost the model nothing.
_SERVED = frozenset({"completed", "empty", "timed_out", SUPERSEDED, DISCONNECTED, STOPPED})
_WHAT = "Pass the URL of a Turbopilot server's metrics (GET turbopilot/metrics), or a file with its response."


class Counted(NamedTuple):
    """A server's request counters at one time."""

    at: float  # seconds since 1970
    since: float  # start of counting
    requests: float  # that reached the model


def rate_of(sources: Sequence[str]) -> float:
    """Return the requests per second of a server, from its metrics and maybe earlier ones."""
    if len(sources) > 2:  # noqa: PLR2004
        raise BadRequestError(
            "--from-metrics takes one source, or a source and earlier metrics of the same server."
        )
    return requests_per_second(*(read_counters(*_metrics(source)) for source in sources))


def _metrics(source: str) -> tuple[str, float]:
    """Download or read metrics; return them and their time."""
    try:
        if source.startswith(("http://", "https://")):
            with httpx.Client(timeout=10.0) as client:
                return page(client, source, IDENTITY)[1].decode(), time.time()
        path = Path(source)
        return path.read_text("utf-8"), path.stat().st_mtime
    except httpx.HTTPStatusError as error:
        raise TurbopilotError(
            f"{source} answered {error.response.status_code}. If it requires a key, download the metrics "
            "to a file, and pass the file."
        ) from None
    except httpx.HTTPError as error:
        raise TurbopilotError(f"{source} cannot be reached ({type(error).__name__}).") from None
    except (OSError, ValueError, httpx.InvalidURL) as error:
        raise BadRequestError(f"{source} cannot be read ({type(error).__name__}).") from None


def read_counters(text: str, at: float) -> Counted:
    """Parse counters in Prometheus' text format."""
    requests, since = 0.0, at
    saved: dict[str, float] = {}
    try:
        for sample in (
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ):
            if sample.name == _REQUESTS and sample.labels.get("outcome") in _SERVED:
                requests += sample.value
            elif sample.name == _CREATED:
                since = min(since, sample.value)
            elif sample.name in _SAVED:
                saved[sample.name] = sample.value
    except ValueError:
        raise BadRequestError(f"These are not Prometheus metrics. {_WHAT}", field="from_metrics") from None
    if saved.keys() != _SAVED or not math.isfinite(requests + sum(saved.values()) + since):
        raise BadRequestError(
            f"These are not the metrics of a Turbopilot server. {_WHAT}", field="from_metrics"
        )
    return Counted(at, since, max(0.0, requests - sum(saved.values())))


def requests_per_second(now: Counted, earlier: Counted | None = None) -> float:
    """Return the requests per second since an earlier time, or since the start of counting."""
    begun, before = (earlier.at, earlier.requests) if earlier else (now.since, 0.0)
    if earlier and (now.since > earlier.at or now.requests < before):
        raise BadRequestError(
            "The server was restarted between the two measurements. Take both after its start.",
            field="from_metrics",
        )
    if now.at - begun < 1 or now.requests <= before:
        raise BadRequestError(
            "No requests were counted in that time. Measure while users type, at least one second apart.",
            field="from_metrics",
        )
    return (now.requests - before) / (now.at - begun)
