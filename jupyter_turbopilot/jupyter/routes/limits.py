"""The limits of callers: the size of a body, parallel requests, requests per minute, and refusals."""

from __future__ import annotations

import math
import time
from collections import Counter
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from jupyter_turbopilot.jupyter.identity import may_omit_content_type
from jupyter_turbopilot.protocol.errors import BodyTooLargeError, BusyError, WrongContentTypeError
from jupyter_turbopilot.protocol.request import MAX_BODY
from jupyter_turbopilot.util.bounds import LimitedDict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jupyter_turbopilot.jupyter.routes.auth import Caller
    from jupyter_turbopilot.protocol.errors import TurbopilotError

# Above this rate of refusals, the server refuses a caller's requests before it decodes their bodies, and
# delays each response by REFUSAL_DELAY seconds.
REFUSALS_PER_MINUTE, REFUSAL_BURST, REFUSAL_DELAY = 300, 20, 1.0
OWN_LIMITS = frozenset({"too_many_requests", "too_many_waiting"})  # codes of the limits of one caller
MAX_PARALLEL = 64  # requests of a user: more than their editors send at once
BYTES_PER_REQUEST = 1 << 13  # that count as one request: tokenizing a megabyte takes a second

MAX_CALLERS = 4096
MINUTE = 60.0
BURST = 60  # requests of a caller at once, before the limit per minute applies
# The share of the burst that prefetch requests leave to requests that a user waits for.
RESERVED = 0.5


class Body:
    """The body of a request as it arrives, up to a limit in bytes."""

    def __init__(self, limit: int) -> None:
        self.size = 0  # bytes that have arrived
        self._limit = limit
        self._chunks: list[bytes] = []

    def add(self, chunk: bytes) -> None:
        """Store a part of the body, or discard all of it above the limit."""
        self.size += len(chunk)
        if self.size <= self._limit:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()

    def take(self, headers: Mapping[str, str], *, may_be_plain: bool) -> bytes:
        """Return the body, and free it; raise an error if its size or content type is invalid.

        `may_be_plain`: whether a program may send it without declaring it as JSON.
        """
        if self.size > self._limit:
            advice = "Send less context." if self._limit == MAX_BODY else "Send only the documented fields."
            raise BodyTooLargeError(f"The body is larger than {self._limit} bytes. {advice}")
        declared = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if declared != "application/json" and not (may_be_plain and may_omit_content_type(headers)):
            raise WrongContentTypeError(
                "Send the body as JSON, with the header Content-Type: application/json."
            )
        body = b"".join(self._chunks)
        self._chunks.clear()
        return body


class RateLimiter:
    """A token bucket per caller with a capacity of `burst` requests; `per_minute` 0: no limit."""

    def __init__(self, per_minute: float, burst: float, most: int = MAX_CALLERS) -> None:
        self._per_minute = per_minute
        self._burst = burst
        # Remaining requests and the time of the last one, by caller. Other callers have a full bucket.
        self._buckets = LimitedDict[str, tuple[float, float]](most)

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, caller: str, now: float) -> float:
        """Return the seconds until the caller may send a request; nothing is counted."""
        if not self._per_minute:
            return 0.0
        left, then = self._buckets.get(caller, (self._burst, now))
        return max(0.0, (1.0 - left) * MINUTE / self._per_minute - max(0.0, now - then))

    def take(self, caller: str, now: float, *, awaited: bool = True, count: float = 1.0) -> None:
        """Count a request, or raise a `BusyError` with the seconds to wait. `now` may be of any clock.

        `count`: the cost of the request, limited to a full bucket.
        """
        if not self._per_minute:
            return
        second = self._per_minute / MINUTE
        left, then = self._buckets.get(caller, (self._burst, now))
        # If the clock is set back, nothing is added; if it is set forward, at most a full bucket.
        left = min(self._burst, left + max(0.0, now - then) * second)
        count = min(self._burst, count)
        needed = count if awaited else min(self._burst, count + self._burst * RESERVED)
        if left >= needed:
            left, missing = left - count, 0.0
        else:
            missing = needed - left
        self._buckets[caller] = left, now
        if missing:
            raise BusyError(
                f"You have made more than {self._per_minute:g} requests per minute. Try again shortly.",
                code="too_many_requests",
                after=missing / second,
            )


class Limits:
    """The requests and refusals of all callers of a server."""

    def __init__(self, per_minute: float) -> None:
        self._rates = RateLimiter(per_minute, min(per_minute, BURST))
        self._refusals = RateLimiter(REFUSALS_PER_MINUTE, REFUSAL_BURST)
        self._running: Counter[tuple[str, str]] = Counter()  # requests with a body, by route and caller

    @contextmanager
    def running(self, route: str, caller: Caller, most: float | None) -> Iterator[None]:
        """Count a running request; raise an error above the limit.

        The default for `most` is MAX_PARALLEL, but there is none for servers with the key: they have many
        users, and generation has separate limits.
        """
        most = most or (math.inf if caller.names_users else MAX_PARALLEL)
        key = route, caller.name
        if self._running[key] >= most:
            raise BusyError(
                f"{most} of your requests to this URL are running. Try again when one has ended.",
                code="too_many_waiting",
            )
        self._running[key] += 1
        try:
            yield
        finally:
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]

    def charge(self, caller: str, size: int = 0, *, awaited: bool = True) -> None:
        """Charge a caller for a request by the bytes that count; raise an error above the rate."""
        cost = max(1.0, size / BYTES_PER_REQUEST)
        self._rates.take(caller, time.monotonic(), awaited=awaited, count=cost)

    def count_refusal(self, error: TurbopilotError, caller: Caller) -> None:
        """Count a refusal: 401 for the address, and a limit of the caller unless it has several users."""
        is_unauthenticated = error.status == HTTPStatus.UNAUTHORIZED
        if is_unauthenticated or (error.code in OWN_LIMITS and not caller.names_users):
            with suppress(BusyError):
                self._refusals.take(caller.address if is_unauthenticated else caller.name, time.monotonic())

    def check_refusals(self, name: str) -> None:
        """Raise an error for an address or a caller whose requests were refused too often."""
        if wait := self._refusals.wait(name, time.monotonic()):
            raise BusyError(
                "You repeat refused requests without waiting. Wait for the seconds in Retry-After.",
                code="too_many_refusals",
                after=wait,
            )
