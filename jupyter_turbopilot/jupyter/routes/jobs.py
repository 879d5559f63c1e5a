"""Base class of routes that generate: rate limits, metrics, and cancellation on disconnect."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import msgspec
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.completer.raw_plan import priority_of
from jupyter_turbopilot.completer.reply_iterators import AsyncBatch, AsyncReplies
from jupyter_turbopilot.context.kernel_context import NONE, KernelContext
from jupyter_turbopilot.engine.job import DEADLINE, DISCONNECTED
from jupyter_turbopilot.engine.lifecycle import not_ready
from jupyter_turbopilot.jupyter.identity import is_key
from jupyter_turbopilot.jupyter.metrics import outcome_of
from jupyter_turbopilot.jupyter.routes.base import Route
from jupyter_turbopilot.jupyter.routes.rates import BURST, RateLimiter
from jupyter_turbopilot.protocol.engine_request import RawRequest
from jupyter_turbopilot.protocol.errors import (
    BadRequestError,
    BusyError,
    NotReadyError,
    TooComplexError,
    TurbopilotError,
)
from jupyter_turbopilot.protocol.headers import LOAD_HEADER, SESSION_HEADER
from jupyter_turbopilot.protocol.request import MAX_BODY, Completion
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
    from jupyter_turbopilot.index.reader import NotebookIndex
    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
    from jupyter_turbopilot.protocol.reply import Reply, Timings


T = TypeVar("T")
LATE = 0.95  # share of the deadline
MAX_SESSION = 128  # characters
BYTES_PER_REQUEST = 1 << 13  # that count as one request: tokenizing a megabyte takes a second
WINDOW = 1 << 18  # characters around the cursor that a page may send with each keystroke
CPU_SECONDS = 0.5  # of a parsing thread for a call, on machines where operations take longer


def is_awaited(request: Completion | RawRequest) -> bool:
    """Return whether a user waits for the answer."""
    if isinstance(request, Completion):
        return request.trigger not in {"warmup", "prefetch"}
    return priority_of(request).awaited


class JobRoute(Route):
    """Base class of routes that generate. A disconnect cancels the generation."""

    accepts_plain_body = True
    max_body = MAX_BODY
    uncharged: ClassVar[int] = 0  # bytes of the body that add nothing to the charge: typing is one request
    errors: ClassVar[tuple[type[TurbopilotError], ...]] = (BusyError, NotReadyError)
    # Paths of the notebook that the request is for, any of which may be denied. Raw text has none.
    paths: tuple[str, ...] = ()

    def _caller_for(self, request: Completion | RawRequest) -> str:
        """Return the caller for fair scheduling. A server with the key names its users in `salt`."""
        salt = request.salt if self.names_users and not isinstance(request, Completion) else ""
        return f"{self.caller} {salt}" if salt else self.caller

    def _session(self) -> str:
        """Return the session id from another Turbopilot server, or an empty string if it is invalid."""
        session = self.request.headers.get(SESSION_HEADER, "")
        return session if is_key(session) and len(session) <= MAX_SESSION else ""

    def _editor(self, client: str) -> str:
        """Return an id of the editor: a new request replaces only earlier ones of the same editor."""
        agent = self.request.headers.get("User-Agent", "")
        return f"{client} {self.request.remote_ip} {agent}" if client else ""

    @property
    def completion_metric(self) -> str:
        """The name of this route's completions in the metrics."""
        return self.name

    def initialize(self, pilot: Pilot, secret: str = "") -> None:
        """`secret`: the secret of this server's kernels."""
        super().initialize(pilot, secret)
        self._jobs: list[Job] = []
        self._charged = 0  # bytes of the body
        self._operations = MOST_OPERATIONS  # that are left
        self._late = math.inf  # the time after which a client that disconnects has waited for its deadline
        self._streamed: dict[str, Timings] = {}  # of the last frame with text, by the id of the request

    @property
    def _rates(self) -> RateLimiter:
        """The rate limits of this server."""
        most = self.pilot.settings.requests_per_minute
        rates = RateLimiter(most, min(most, BURST))
        return cast("RateLimiter", self.settings.setdefault("turbopilot_rates", rates))

    async def replies(
        self,
        request: Completion | RawRequest,
        kernel_context: KernelContext = NONE,
        notebook_index: NotebookIndex | None = None,
        *,
        is_charged: bool = False,
    ) -> AsyncReplies:
        """Submit a request and return its replies. `is_charged`: the caller has been charged for it."""
        await self.try_loading()
        replies = AsyncReplies(partial(self._count, is_awaited=is_awaited(request)))
        self._submit(request, kernel_context, replies.listen, notebook_index, is_charged=is_charged)
        return replies

    async def submit_all(self, requests: Sequence[RawRequest]) -> AsyncBatch:
        """Submit several requests and return all their replies in the order of arrival."""
        most = self.pilot.worker.limits.waiting
        if 0 < most < len(requests):  # a retry would not help
            raise BadRequestError(
                f"One user may have {most} waiting requests. Send at most {most} prompts at a time.",
                field="prompt",
            )
        await self.try_loading()
        awaited = any(is_awaited(request) for request in requests)
        batch = AsyncBatch(len(requests), partial(self._count, is_awaited=awaited))
        for number, request in enumerate(requests):
            self._submit(request, NONE, batch.listener(number))
        return batch

    def _submit(
        self,
        request: Completion | RawRequest,
        kernel_context: KernelContext,
        listener: Listener,
        notebook_index: NotebookIndex | None = None,
        *,
        is_charged: bool = False,
    ) -> None:
        if isinstance(request, Completion):
            request = msgspec.structs.replace(request, client=self._editor(request.client))
        else:
            request = replace(request, session=self._session())
        caller = self._caller_for(request)
        if level := self.pilot.worker.level(caller):
            self.set_header(LOAD_HEADER, str(int(level)))
        try:
            self.pilot.access.check(*self.paths)
            if not is_charged:
                self.take(caller, awaited=is_awaited(request))
            job = self.pilot.completer.submit(
                request, listener, kernel_context, caller, self.tenant, notebook_index=notebook_index
            )
            self._jobs.append(job)
            seconds = job.deadline - job.queued_at
            if isinstance(request, RawRequest) and request.exact:
                # Another Turbopilot server closes the connection at the deadline of its editor's request.
                seconds = min(seconds, self.pilot.settings.deadline)
            self._late = job.queued_at + LATE * seconds
        except TurbopilotError as error:
            self.metrics.count_error(self.completion_metric, error)
            raise

    def charge(self, *, awaited: bool = True) -> None:
        """Charge the caller for the request before its work, and count errors."""
        try:
            self.take(self.caller, awaited=awaited)
        except BusyError as error:
            self.metrics.count_error(self.name, error)
            raise

    def take(self, caller: str, *, awaited: bool = True) -> None:
        """Charge a caller: the first time by the size of the body, as one request for further completions."""
        size, self._charged = self._received - self._charged - self.uncharged, self._received
        self._rates.take(caller, time.monotonic(), awaited=awaited, count=max(1.0, size / BYTES_PER_REQUEST))

    async def parse(self, function: Callable[..., T], *given: Any, **named: Any) -> T:
        """Call a function in a parsing thread, with a limit of the operations for this request.

        The work ends when the client disconnects, when the server stops, or with a TooComplexError at the
        limit. Responses are encoded in other threads.
        """
        tenant = self.tenant

        def call() -> T:
            end = time.thread_time() + CPU_SECONDS

            def check() -> None:
                """Raise an error that pure functions do not handle if the work must end."""
                if self._disconnected or self.pilot.parsing.is_closed or time.thread_time() > end:
                    raise OperationLimitError

            check()
            operations = Operations(self._operations, check)
            try:
                with counted_operations(operations), tenant_cache(tenant):
                    return function(*given, **named)
            finally:
                self._operations -= operations.count

        try:
            result = await self.pilot.parsing.run(self.caller, call)
        except OperationLimitError:
            self.check_connected()
            self.pilot.parsing.check_open()
            raise TooComplexError from None
        self.check_connected()  # pure functions may return what they have found so far
        return result

    def check_connected(self) -> None:
        """Raise an error if the client has disconnected."""
        if self._disconnected:
            raise StreamClosedError

    def _count(self, reply: Reply, *, is_awaited: bool) -> None:
        """Count the outcome of a request."""
        if reply.items and not reply.done:
            self._streamed[reply.id] = reply.timings
        if reply.done:
            has_text = bool(reply.items) or reply.id in self._streamed
            is_late = time.monotonic() >= self._late
            outcome = outcome_of(reply, has_text=has_text, is_awaited=is_awaited, is_late=is_late)
            self.metrics.count(self.completion_metric, outcome, reply.error)
            # The last reply to a client that has disconnected has no timings.
            is_cut = has_text and reply.finish_reason == DISCONNECTED
            self.metrics.measure(self._streamed[reply.id] if is_cut else reply.timings)

    async def final_replies(self, requests: Sequence[RawRequest]) -> list[Reply]:
        """Return the last reply to each request; raise an error if one is empty."""
        batch = await self.submit_all(requests)
        last = {number: reply async for number, reply in batch if reply.done}
        for number, request in enumerate(requests):
            self.require_output(last[number], request)
        return [last[number] for number in range(len(requests))]

    @staticmethod
    def require_output(last: Reply, request: RawRequest) -> None:
        """Raise an error if the last reply is empty, unless the request only evaluates the prompt."""
        if not last.items and not request.prefetch:
            reason = last.finish_reason or DEADLINE
            why = "The time limit was reached" if reason == DEADLINE else "The request was cancelled"
            raise NotReadyError(f"{why} before anything was generated. Try again shortly.", code=reason)

    def vocabulary(self) -> Vocabulary:
        """Return the vocabulary of the loaded model; raise an error if no model is loaded."""
        engine = self.pilot.worker.engine
        if engine is None:
            raise not_ready(self.pilot.worker.state)
        return engine.vocabulary

    def cancel(self, reason: str) -> None:
        """Cancel all generation of this request."""
        for job in self._jobs:
            job.cancel.set(reason)
        self._jobs.clear()

    def on_finish(self) -> None:
        """Cancel the remaining generation."""
        self.cancel(DISCONNECTED)
        super().on_finish()

    def on_connection_close(self) -> None:
        """Cancel all generation: the client has disconnected."""
        self.cancel(DISCONNECTED)
        super().on_connection_close()
