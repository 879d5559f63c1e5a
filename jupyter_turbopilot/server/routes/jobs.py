"""A route that has the model generate: begins it, counts it, and stops it when the caller has gone."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.completer.raw_plan import priority_of
from jupyter_turbopilot.completer.waiting import AsyncBatch, AsyncReplies
from jupyter_turbopilot.context.facts import NONE, Facts
from jupyter_turbopilot.engine.job import DEADLINE, DISCONNECTED
from jupyter_turbopilot.engine.lifecycle import not_ready
from jupyter_turbopilot.engine.remote.dialect import SESSION_HEADER
from jupyter_turbopilot.errors import BadRequestError, BusyError, NotReadyError, TurbopilotError
from jupyter_turbopilot.request import Completion
from jupyter_turbopilot.server.identity import is_key
from jupyter_turbopilot.server.routes.base import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.completer.waiting import Listener
    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.generation import RawRequest
    from jupyter_turbopilot.memory.reader import Memory
    from jupyter_turbopilot.pilot.pilot import Pilot
    from jupyter_turbopilot.reply import Reply


T = TypeVar("T")
MOST_SESSION = 128  # characters
ONE_REQUEST = 1 << 13  # bytes to tokenize that count as a request: a megabyte takes a second of computing
MOST_CALLERS = 4096  # that are remembered
MINUTE = 60.0
# What is done ahead of time leaves this part of what may be asked at once to what somebody waits for.
LEFT = 0.5


class Rates:
    """A bucket of requests for each caller. It fills evenly up to `burst`; 0 `per_minute`: without end."""

    def __init__(self, per_minute: float, burst: float, most: int = MOST_CALLERS) -> None:
        self._per_minute = per_minute
        self._burst = burst
        self._most = most
        # What each may still ask at once, and when that was so. Who is not in it has all of it.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def take(self, caller: str, now: float, *, awaited: bool = True, count: float = 1.0) -> None:
        """Count a request, or say with a `BusyError` when it may be made; `now` is of any clock.

        `count`: as how many requests it counts; more than a full bucket takes all of that.
        """
        if not self._per_minute:
            return
        second = self._per_minute / MINUTE
        left, then = self._left.pop(caller, (self._burst, now))
        # A clock that was put back gives nothing, and one that was put forward no more than all.
        left = min(self._burst, left + max(0.0, now - then) * second)
        count = min(self._burst, count)
        needed = count if awaited else min(self._burst, count + self._burst * LEFT)
        if left >= needed:
            left, missing = left - count, 0.0
        else:
            missing = needed - left
        self._left[caller] = left, now
        if len(self._left) > self._most:
            self._left.popitem(last=False)  # it asked longest ago
        if missing:
            raise BusyError(
                f"You have made more than {self._per_minute:g} requests a minute. Try again in a moment.",
                code="too_many_requests",
                after=missing / second,
            )


def is_awaited(request: Completion | RawRequest) -> bool:
    """Tell whether anybody waits for what is asked."""
    if isinstance(request, Completion):
        return request.trigger not in {"warm", "ahead"}
    return priority_of(request).awaited


class JobRoute(Route):
    """A route that has something written; whoever goes away is not written for any longer."""

    completes = True
    errors = (BusyError, NotReadyError)

    @property
    def name(self) -> str:
        """The route, for who counts: nothing of the address that was asked for."""
        return type(self).__name__.removesuffix("Route").lower()

    @property
    def caller(self) -> str:
        """Who asks and gets a share of the model: nothing that a client can vary to get more of them."""
        name = self.username
        # A key says nothing of who brings it, and without a name there is nothing else to go by.
        named = bool(name) and (self.alone is None or self.alone.names_people)
        return name if named else f"{name} {self.request.remote_ip}"

    def _caller_for(self, request: Completion | RawRequest) -> str:
        """Return who gets a share of the model: a server that brings the key asks for several people."""
        trusted = self.standalone and not self.names_people and self.may_manage
        salt = request.salt if trusted and not isinstance(request, Completion) else ""
        return f"{self.caller} {salt}" if salt else self.caller

    def _session(self) -> str:
        """Return the session that another server of ours names; what could not be sent on is none."""
        told = self.request.headers.get(SESSION_HEADER, "")
        return told if is_key(told) and len(told) <= MOST_SESSION else ""

    def _editor(self, client: str) -> str:
        """Return what tells an editor from the caller's others: a newer request ends its own alone."""
        agent = self.request.headers.get("User-Agent", "")
        return f"{client} {self.request.remote_ip} {agent}" if client else ""

    def initialize(self, pilot: Pilot, secret: str = "") -> None:
        """Take what the route works with."""
        super().initialize(pilot, secret)
        self._jobs: list[Job] = []

    @property
    def _rates(self) -> Rates:
        """How often each caller may ask."""
        settings = self.pilot.settings
        rates = Rates(settings.requests_per_minute, settings.burst)
        return cast("Rates", self.settings.setdefault("turbopilot_rates", rates))

    def replies(
        self, request: Completion | RawRequest, facts: Facts = NONE, memory: Memory | None = None
    ) -> AsyncReplies:
        """Begin, and return the replies as they grow; an error is raised if it comes first."""
        replies = AsyncReplies(self._count)
        self._begin(request, facts, replies.listen, memory)
        return replies

    def together(self, requests: Sequence[RawRequest]) -> AsyncBatch:
        """Begin several at a time, and return the replies to all of them as they come."""
        most = self.pilot.settings.waiting_per_person
        if 0 < most < len(requests):  # to come back later would not help
            raise BadRequestError(
                f"Here one person may have {most} texts waiting. Send that many prompts at a time.",
                field="prompt",
            )
        batch = AsyncBatch(len(requests), self._count)
        for number, request in enumerate(requests):
            self._begin(request, NONE, batch.listener(number))
        return batch

    def _begin(
        self,
        request: Completion | RawRequest,
        facts: Facts,
        listener: Listener,
        memory: Memory | None = None,
    ) -> None:
        self.pilot.ensure()  # `load_at_start` may be off; what kept it from being loaded may have gone
        if isinstance(request, Completion):
            request = msgspec.structs.replace(request, client=self._editor(request.client))
        else:
            request = replace(request, session=self._session())
        caller = self._caller_for(request)
        try:
            self._rates.take(caller, time.monotonic(), awaited=is_awaited(request))
            job = self.pilot.completer.submit(request, listener, facts, caller, self.owner, memory=memory)
            self._jobs.append(job)
        except TurbopilotError as error:
            self.metrics.count(self.name, error.code)
            raise

    def count_body(self) -> None:
        """Count a request that is not the model's to answer, by the size of what was sent."""
        try:
            self.charge_body()
        except BusyError as error:
            self.metrics.count(self.name, error.code)
            raise

    def charge_body(self) -> None:
        """Charge the caller for a request by the size of its body."""
        self._rates.take(self.caller, time.monotonic(), count=max(1.0, self._received / ONE_REQUEST))

    async def parse(self, function: Callable[..., T], *given: Any, **named: Any) -> T:
        """Call a function in a thread for parsing, unless the client has gone.

        It may take seconds. Threads for completed answers are separate, so that these do not wait for it.
        """

        def call() -> T:
            self.proceed()
            return function(*given, **named)

        return await self.pilot.parsing.run(call)

    def proceed(self) -> None:
        """Raise an error if the client has gone."""
        if self._left:
            raise StreamClosedError

    def _count(self, reply: Reply) -> None:
        """Count how a request has ended."""
        if reply.done:
            outcome = reply.error.code if reply.error else reply.finish_reason or "answered"
            self.metrics.count(self.name, outcome)
            self.metrics.measure(reply.timings)

    async def whole(self, requests: Sequence[RawRequest]) -> list[Reply]:
        """Return the last reply to each request; but for what is only read ahead, all hold something."""
        last = {number: reply async for number, reply in self.together(requests) if reply.done}
        for number, request in enumerate(requests):
            self.insist(last[number], request)
        return [last[number] for number in range(len(requests))]

    @staticmethod
    def insist(last: Reply, request: RawRequest) -> None:
        """Raise an error where the last reply to a request holds nothing, and not only reading was asked."""
        if not last.items and not request.ahead:
            reason = last.finish_reason or DEADLINE
            why = "The time limit was reached" if reason == DEADLINE else "The request was ended"
            raise NotReadyError(f"{why} before anything was generated. Try again shortly.", code=reason)

    def vocabulary(self) -> Vocabulary:
        """Return the tokens of the model that is loaded, or say why there is none."""
        engine = self.pilot.worker.engine
        if engine is None:
            raise not_ready(self.pilot.worker.state)
        return engine.vocabulary

    def cancel(self, reason: str) -> None:
        """Stop what is being written."""
        for job in self._jobs:
            job.cancel.set(reason)
        self._jobs.clear()

    def on_finish(self) -> None:
        """Stop what was not waited for."""
        self.cancel(DISCONNECTED)
        super().on_finish()

    def on_connection_close(self) -> None:
        """Stop working for somebody who has gone."""
        self._left = True
        self.cancel(DISCONNECTED)
        super().on_connection_close()
