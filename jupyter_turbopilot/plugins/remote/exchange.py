"""Sends requests to the first of several addresses that answers, and retries failed ones."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Summary

from jupyter_turbopilot.plugins.remote.dialect import EventContent
from jupyter_turbopilot.plugins.remote.errors import AskedToWaitError, DiedError, InvalidAnswerError
from jupyter_turbopilot.plugins.remote.remote_server import Kind
from jupyter_turbopilot.protocol.errors import EngineError, EngineGoneError, NotReadyError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

    from jupyter_turbopilot.engine.load_shedding import Level
    from jupyter_turbopilot.plugins.remote.dialect import Dialect, Request
    from jupyter_turbopilot.plugins.remote.http_client import HttpClient
    from jupyter_turbopilot.plugins.remote.remote_server import RemoteServer

# Seconds to wait for the rest of an answer, so that its connection can be reused: after its end was reported,
# and if no more tokens are needed.
ENDED, ENOUGH = 1.0, 0.05
# Each keystroke cancels the previous request, so requests may never reach their timeout. An address that was
# silent for SILENT seconds is probed, and must answer within PROBED seconds.
SILENT, PROBED = 3.0, 3.0
FIRST, LONGEST = 1.0, 60.0  # the shortest and the longest pause after a failure, in seconds
LEAST = 0.1  # the shortest wait that a server can request, in seconds
NO_TIME, NO_MODEL = "it does not answer in time", "it has no model loaded"
MOST_NAMES = 16  # names of one model
FAILURES = (AskedToWaitError, DiedError, InvalidAnswerError, TimeoutError, TurbopilotError)
CUT = EventContent(ended=True, cut=True)


def unreachable(sides: Sequence[HttpClient], reason: object) -> EngineGoneError:
    """Return the error if no address answers. In a hub, it has at most the 140 characters of a toast."""
    if all(side.in_hub for side in sides):  # its users can neither check nor change the address
        message = f"Your hub's completion server is unreachable ({reason}). Contact its administrator."
    else:
        hosts = ", ".join(side.address.host for side in sides)
        message = f"{hosts} cannot be reached ({reason}). Is the server running?"
    error = EngineGoneError(message)
    error.max_delay = 10.0  # connecting again costs nothing
    return error


def changed(side: HttpClient) -> EngineGoneError:
    """Return the error for a remote server that has changed its model."""
    side.known = False
    return EngineGoneError(
        f"{side.address.host} has another model now. Connecting again.", code="model_changed"
    )


@asynccontextmanager
async def limited(side: HttpClient, seconds: float) -> AsyncIterator[asyncio.Timeout]:
    """Limit the time of the block, and convert its exceptions to errors for the user."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield limit
    except TimeoutError:
        raise DiedError(NO_TIME) from None
    except InvalidAnswerError as error:
        host = side.address.host
        message = f"{host} sent {error}. Check that c.TurbopilotRemote.urls names a completions server."
        raise EngineError(message) from None


@dataclass
class Target:
    """An address and its recent failures."""

    side: HttpClient
    failures: int = 0  # since it last answered
    rests_until: float = -math.inf
    streaming: int = 0  # answers that have started
    received: float = -math.inf  # the time of the last token or end of an answer
    asked: float = math.inf  # the time of the first request since then
    probe: asyncio.Task[None] | None = None  # the probe in progress
    # The sessions that the server asked to wait: until when, and with which error. A router may have free
    # servers for others.
    waits: dict[str, tuple[float, TurbopilotError]] = field(default_factory=dict)

    def rest(self, now: float) -> None:
        """Pause the address, twice as long after each further failure."""
        self.side.known = False
        if self.rests_until <= now:  # failures during a pause count as one
            self.rests_until = now + pause(self.failures)
            self.failures += 1

    def wait(self, session: str, error: TurbopilotError, seconds: float, now: float) -> None:
        """Send nothing for a session for some seconds."""
        self.waits = {name: wait for name, wait in self.waits.items() if wait[0] > now}
        self.waits[session] = now + min(max(LEAST, seconds), LONGEST), error


def pause(failures: int) -> float:
    """Return the pause in seconds after a number of earlier failures."""
    return min(LONGEST, FIRST * 2.0 ** min(failures, 10))


class Metrics:
    """The metrics of the addresses since the engine was loaded."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self.registry = CollectorRegistry()
        where: Any = {"labelnames": ["address"], "registry": self.registry}
        self.requests = Counter("turbopilot_engine_requests", "Requests to the remote server.", **where)
        self.throttled = Counter(
            "turbopilot_engine_throttled",
            "Requests that the remote server answered with 429 or 503.",
            **where,
        )
        self.first_token = Summary(
            "turbopilot_engine_first_token_seconds",
            "From a request to the first token of its answer.",
            **where,
        )
        for host in hosts:
            for metric in (self.requests, self.throttled, self.first_token):
                metric.labels(host)


class Exchange:
    """Sends requests to the first address that answers. It runs on the connections' thread."""

    def __init__(
        self,
        sides: Sequence[HttpClient],
        peer: RemoteServer,
        dialect: Dialect,
        recognize: Callable[[HttpClient], Awaitable[RemoteServer]],
        timeout: float,
    ) -> None:
        """`recognize` requests the description of a server, which must match `peer`."""
        self.targets = [Target(side) for side in sides]
        self._remote = peer
        self._dialect = dialect
        self._recognize = recognize
        self._timeout = timeout
        self.metrics = Metrics([side.address.host for side in sides])
        # The model's names in answers. Other software may use different names in answers and in the list.
        self._called = {peer.model} if peer.kind is Kind.OURS else set()

    @property
    def level(self) -> Level | None:
        """The highest level of load shedding of the addresses; None if it is unknown."""
        levels = (target.side.level for target in self.targets)
        return max((level for level in levels if level is not None), default=None)

    def _next(self, now: float, tried: Target | None = None) -> Target | None:
        """Return the first address that is not paused and was not tried, or None."""
        return next((one for one in self.targets if one.rests_until <= now and one is not tried), None)

    async def write(
        self, request: Request, receive: Callable[[EventContent], bool], *, awaited: bool = True
    ) -> None:
        """Send a request, and pass the events of its answer to `receive` until that returns True.

        `awaited`: whether to wait if an address asks to retry later.
        """
        loop = asyncio.get_running_loop()
        tried, begun, reason = None, 0.0, DiedError("it failed a moment ago")
        for last in (False, True):
            if target := self._next(loop.time(), tried):
                begun = loop.time()  # each address has the full timeout
            elif tried is None or loop.time() >= begun + self._timeout:
                break
            else:
                target = tried
            try:
                await self._converse(target, request, receive, begun + self._timeout, awaited=awaited)
            except DiedError as error:
                tried, reason = target, error
                if target.streaming or target.received > begun:
                    continue  # only this request has failed: the address serves others
                target.side.known = False
                # If there is only one address, it may still serve other requests during a retry.
                if last or len(self.targets) > 1 or loop.time() >= begun + self._timeout:
                    target.rest(loop.time())
            else:
                target.failures, target.rests_until = 0, -math.inf
                return
        if self._next(loop.time()):
            raise NotReadyError(f"The server generated nothing ({reason}). Try again.", code="remote_server")
        raise reason.error or unreachable([target.side for target in self.targets], reason)

    async def _converse(
        self,
        target: Target,
        request: Request,
        receive: Callable[[EventContent], bool],
        deadline: float,
        *,
        awaited: bool,
    ) -> None:
        """Send a request to one address. If it asks to wait, retry if there is time.

        Send nothing while the session has to wait.
        """
        loop, waited = asyncio.get_running_loop(), 0
        while True:
            until, error = target.waits.get(request.session, (-math.inf, None))
            if error is None or until <= loop.time():
                try:
                    return await self._listen(target, request, receive, deadline)
                except AskedToWaitError as asked:
                    self.metrics.throttled.labels(target.side.address.host).inc()
                    seconds = pause(waited) if asked.after is None else asked.after
                    target.wait(request.session, asked.error, seconds, loop.time())
                    target.side.known &= not asked.lost_model
                    waited += 1
            elif not awaited or until >= deadline:
                raise type(error)(error.message, code=error.code, after=until - loop.time())
            else:
                await asyncio.sleep(until - loop.time())

    async def _listen(
        self, target: Target, request: Request, receive: Callable[[EventContent], bool], deadline: float
    ) -> None:
        """Receive an answer. If it fails after the first token, end it there."""
        side, loop, spoke = target.side, asyncio.get_running_loop(), False
        begun, host = loop.time(), side.address.host
        self.metrics.requests.labels(host).inc()
        self._watch(target)
        try:
            async with limited(side, deadline - begun) as limit:
                await self._check(side)
                async with aclosing(side.stream(request, self._dialect)) as events:
                    async for received in events:
                        await self._check_answer(side, received)
                        if received.tokens or received.ended:
                            target.received, target.asked = loop.time(), math.inf
                            if not spoke:
                                self.metrics.first_token.labels(host).observe(loop.time() - begun)
                        if received.tokens:
                            target.streaming += not spoke
                            spoke = True
                            limit.reschedule(loop.time() + self._timeout)
                        if receive(received):
                            limit.reschedule(None)
                            await _drain(events, ENDED if received.ended else ENOUGH)
                            return
            if not spoke:
                raise DiedError("its answer broke off")
        except FAILURES:
            if not spoke:
                raise
            side.known = False
        finally:
            target.streaming -= spoke
        receive(CUT)

    def _watch(self, target: Target) -> None:
        """Probe an address that has been silent for too long."""
        loop = asyncio.get_running_loop()
        target.asked = min(target.asked, loop.time())
        if loop.time() > target.asked + SILENT and target.probe is None:
            target.probe = loop.create_task(self._probe(target))

    async def _probe(self, target: Target) -> None:
        """Pause a silent address if it does not answer the probe."""
        try:
            async with asyncio.timeout(PROBED):
                await self._recognize(target.side)
        except FAILURES:
            target.rest(asyncio.get_running_loop().time())
        finally:
            target.asked, target.probe = math.inf, None

    async def _check(self, side: HttpClient) -> None:
        """Check the description of an address that is new or has failed."""
        if side.known:
            return
        try:
            peer = await self._recognize(side)
        except EngineGoneError as error:
            raise DiedError(NO_MODEL, error) from None
        if peer.identity != self._remote.identity:
            raise changed(side)
        side.known = True

    async def _check_answer(self, side: HttpClient, received: EventContent) -> None:
        """Raise EngineGoneError if another model or version answers."""
        name, version = received.model, self._remote.version
        if version and received.version and received.version != version:
            raise changed(side)
        if name and name not in self._called and len(self._called) < MOST_NAMES:
            if self._called:
                side.known = False
                await self._check(side)  # a model may have several names
            self._called.add(name)


async def _drain(events: AsyncGenerator[EventContent], seconds: float) -> None:
    """Wait for the end of an answer."""
    with suppress(*FAILURES):
        async with asyncio.timeout(seconds):
            async for _ in events:
                pass
