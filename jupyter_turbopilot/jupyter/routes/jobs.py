"""The work for a request, which ends when the client disconnects: completions, and parsing in a thread."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.completer.plan import Admission
from jupyter_turbopilot.completer.raw_plan import priority_of
from jupyter_turbopilot.completer.reply_iterators import AsyncBatch, AsyncReplies
from jupyter_turbopilot.engine.job import DEADLINE, DISCONNECTED
from jupyter_turbopilot.engine.lifecycle import not_ready
from jupyter_turbopilot.jupyter.metrics import outcome_of
from jupyter_turbopilot.protocol.engine_request import RawRequest
from jupyter_turbopilot.protocol.errors import BusyError, NotReadyError, TooComplexError
from jupyter_turbopilot.protocol.phase import Phase
from jupyter_turbopilot.protocol.reply import LOAD_HEADER
from jupyter_turbopilot.util.bounds import (
    MOST_OPERATIONS,
    OperationLimitError,
    Operations,
    counted_operations,
    tenant_cache,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
    from jupyter_turbopilot.jupyter.routes.base import Route
    from jupyter_turbopilot.protocol.reply import Reply, Timings
    from jupyter_turbopilot.protocol.request import Completion

LATE = 0.95  # share of the deadline
DISK_SECONDS = 0.5  # until a request does not wait for a disk any longer
CPU_SECONDS = 0.5  # of a parsing thread for a call, on machines where operations take longer
T = TypeVar("T")


async def try_loading(route: Route, *, only_again: bool = False) -> None:
    """Start loading if necessary, or retry a failed load. `only_again`: do not start the first load."""
    pilot, phase = route.pilot, route.pilot.worker.state.phase
    # All calls with one key must have the same effect: a start that joined a retry would be lost.
    if phase is Phase.FAILED or (phase is Phase.EMPTY and not only_again):
        with suppress(TimeoutError, BusyError):
            call = pilot.disk.run(route.caller.name, "model", pilot.ensure)
            await asyncio.wait_for(call, DISK_SECONDS)


def vocabulary_of(pilot: Pilot) -> Vocabulary:
    """Return the vocabulary of the loaded model; raise an error if no model is loaded."""
    engine = pilot.worker.engine
    if engine is None:
        raise not_ready(pilot.worker.state)
    return engine.vocabulary


class Completions:
    """The completions for a request that was admitted. A disconnect cancels them.

    `caller`: the name for fair scheduling. `metric`: the name in the metrics, by default the route's.
    `more`: fields of the admission.
    """

    def __init__(self, route: Route, caller: str, metric: str = "", **more: Any) -> None:
        self._route = route
        level = route.pilot.worker.level(caller)
        self._admission = Admission(caller=caller, tenant=route.caller.tenant, level=level, **more)
        self._metric = metric or route.name
        self._jobs: list[Job] = []
        self._late = math.inf  # the time after which a client that disconnects has waited for its deadline
        self._streamed: dict[str, Timings] = {}  # of the last frame with text, by the id of the request
        if level:
            route.set_header(LOAD_HEADER, str(int(level)))
        route.at_disconnect.callback(self.cancel, DISCONNECTED)

    async def replies(self, request: Completion) -> AsyncReplies:
        """Submit a request for a notebook and return its replies."""
        await try_loading(self._route)
        replies = AsyncReplies(partial(self._count, is_awaited=request.is_awaited))
        if request.client:  # a new request replaces only earlier ones of the same editor
            editor = f"{request.client} {self._route.caller.address} {self._route.caller.agent}"
            request = msgspec.structs.replace(request, client=editor)
        self._submit(request, replies.listen)
        return replies

    async def batch(self, requests: Sequence[RawRequest]) -> AsyncBatch:
        """Submit texts of another protocol and return all their replies in the order of arrival."""
        await try_loading(self._route)
        awaited = any(priority_of(request).awaited for request in requests)
        batch = AsyncBatch(len(requests), partial(self._count, is_awaited=awaited))
        for number, request in enumerate(requests):
            text = replace(request, session=self._route.caller.session)
            self._submit(text, batch.listener(number))
        return batch

    def _submit(self, request: Completion | RawRequest, listener: Listener) -> None:
        pilot = self._route.pilot
        check_connected(self._route)
        if not self._route.is_admitted:
            raise RuntimeError("Call admit or admit_texts before any completion.")
        with self._route.shared.metrics.counted_errors(self._metric):
            job = pilot.completer.submit(request, listener, self._admission)
        self._jobs.append(job)
        seconds = job.deadline - job.queued_at
        if isinstance(request, RawRequest) and request.exact:
            # Another Turbopilot server closes the connection at the deadline of its editor's request.
            seconds = min(seconds, pilot.settings.deadline)
        self._late = job.queued_at + LATE * seconds

    def _count(self, reply: Reply, *, is_awaited: bool) -> None:
        """Count the outcome of a request."""
        metrics = self._route.shared.metrics
        if reply.items and not reply.done:
            self._streamed[reply.id] = reply.timings
        if reply.done:
            has_text = bool(reply.items) or reply.id in self._streamed
            is_late = time.monotonic() >= self._late
            outcome = outcome_of(reply, has_text=has_text, is_awaited=is_awaited, is_late=is_late)
            metrics.count(self._metric, outcome, reply.error)
            # The last reply to a client that has disconnected has no timings.
            is_cut = has_text and reply.finish_reason == DISCONNECTED
            metrics.measure(self._streamed[reply.id] if is_cut else reply.timings)

    async def final_replies(self, requests: Sequence[RawRequest]) -> list[Reply]:
        """Return the last reply to each request; raise an error if one is empty."""
        batch = await self.batch(requests)
        last = {number: reply async for number, reply in batch if reply.done}
        for number, request in enumerate(requests):
            require_output(last[number], request)
        return [last[number] for number in range(len(requests))]

    def cancel(self, reason: str) -> None:
        """Cancel all completions."""
        for job in self._jobs:
            job.cancel.set(reason)
        self._jobs.clear()


def require_output(last: Reply, request: RawRequest) -> None:
    """Raise an error if the last reply is empty, unless the request only evaluates the prompt."""
    if not last.items and not request.prefetch:
        reason = last.finish_reason or DEADLINE
        why = "The time limit was reached" if reason == DEADLINE else "The request was cancelled"
        raise NotReadyError(f"{why} before anything was generated. Try again shortly.", code=reason)


class Parser:
    """Calls functions in a parsing thread. All calls together have the operations of one request."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._operations = MOST_OPERATIONS  # that are left

    async def run(self, function: Callable[..., T], *given: Any, **named: Any) -> T:
        """Return the result of a function.

        The work ends when the client disconnects, when the server stops, or with a TooComplexError at the
        limit. Responses are encoded in other threads.
        """
        route, threads = self._route, self._route.pilot.parsing
        tenant = route.caller.tenant

        def call() -> T:
            end = time.thread_time() + CPU_SECONDS

            def check() -> None:
                """Raise an error that pure functions do not handle if the work must end."""
                if route.is_disconnected or threads.is_closed or time.thread_time() > end:
                    raise OperationLimitError

            check()
            operations = Operations(self._operations, check)
            try:
                with counted_operations(operations), tenant_cache(tenant):
                    return function(*given, **named)
            finally:
                self._operations -= operations.count

        try:
            result = await threads.run(route.caller.name, call)
        except OperationLimitError:
            check_connected(route)
            threads.check_open()
            raise TooComplexError from None
        check_connected(route)  # pure functions may return what they have found so far
        return result


def check_connected(route: Route) -> None:
    """Raise an error if the client has disconnected."""
    if route.is_disconnected:
        raise StreamClosedError
