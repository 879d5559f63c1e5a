"""A request on its way: to the first address that answers, and once more where it died."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from jupyter_turbopilot.engine.remote import errors
from jupyter_turbopilot.engine.remote.dialect import EventContent
from jupyter_turbopilot.engine.remote.errors import AskedToWaitError, DiedError, InvalidAnswerError
from jupyter_turbopilot.engine.remote.remote_server import Kind
from jupyter_turbopilot.engine.remote.statistics import Figures
from jupyter_turbopilot.errors import EngineGoneError, NotReadyError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from jupyter_turbopilot.engine.remote.address import Address
    from jupyter_turbopilot.engine.remote.dialect import Dialect, Request
    from jupyter_turbopilot.engine.remote.remote_server import RemoteServer

# Seconds in which an answer may come to its end, so that its connection is kept: one that says that it has
# ended, and one of which there is enough.
ENDED, ENOUGH = 1.0, 0.05
# Each key takes the request of the one before back, so none may last long enough to fail. An address that has
# been silent for so many seconds is asked, in so many, who it is.
SILENT, PROBED = 3.0, 3.0
FIRST, LONGEST = 1.0, 60.0  # seconds for which an address that failed is left alone
LEAST = 0.1  # seconds, though a server says that it may be asked at once
NO_TIME, NO_MODEL = "it does not answer in time", "it has no model loaded"
MOST_NAMES = 16  # under which one model answers
FAILURES = (AskedToWaitError, DiedError, InvalidAnswerError, TimeoutError, TurbopilotError)
CUT = EventContent(ended=True, cut=True)


class Client(Protocol):
    """One address."""

    address: Address
    known: bool

    def stream(self, request: Request, dialect: Dialect) -> AsyncGenerator[EventContent]:
        """Send a request; yield what its answer says."""


@dataclass
class RetryTimes:
    """Sessions that a server asked to be left alone for: until when, and with which status.

    Each session waits for itself: behind one address others may be answered.
    """

    waits: dict[str, tuple[float, int]] = field(default_factory=dict)

    def asked(self, session: str, status: int, seconds: float, now: float) -> float:
        """Have a session wait; return for how many seconds."""
        seconds = max(LEAST, seconds)
        self.waits = {name: wait for name, wait in self.waits.items() if wait[0] > now}
        self.waits[session] = now + min(seconds, LONGEST), status
        return seconds

    def left(self, session: str, now: float) -> tuple[float, int]:
        """Return for how many seconds a session still waits, and with which status it was told to."""
        until, status = self.waits.get(session, (now, 0))
        return max(0.0, until - now), status


@dataclass
class Endpoint:
    """One address, and how it did lately."""

    side: Client
    failures: int = 0  # since it last answered
    rests_until: float = -math.inf
    streaming: int = 0  # texts that are being written there
    heard: float = -math.inf  # when it last wrote something of a text, or its end
    asked: float = math.inf  # since when it has been asked without a word
    probe: asyncio.Task[None] | None = None  # while it is being asked whether it is there at all
    waits: RetryTimes = field(default_factory=RetryTimes)

    def rest(self, now: float) -> None:
        """Leave the address alone: for a second, twice as long after each further failure."""
        if self.rests_until <= now:  # requests that fail together are one failure
            self.rests_until = now + pause(self.failures)
            self.failures += 1


def pause(failures: int) -> float:
    """Return the seconds to wait after so many failures before this one."""
    return min(LONGEST, FIRST * 2.0 ** min(failures, 10))


class Exchange:
    """Sends requests to the first of several addresses that answers. Used on the thread of connections."""

    def __init__(
        self,
        sides: Sequence[Client],
        far: RemoteServer,
        dialect: Dialect,
        recognize: Callable[[Client], Awaitable[RemoteServer]],
        timeout: float,
    ) -> None:
        """`recognize` asks an address who it is: all have to be as `far`."""
        self.endpoints = [Endpoint(side) for side in sides]
        self._far = far
        self._dialect = dialect
        self._recognize = recognize
        self._timeout = timeout
        self.figures = Figures([side.address.host for side in sides])
        # How the model is called in answers. Others than ours may call it otherwise than in their list.
        self._called = {far.model} if far.kind is Kind.OURS else set()

    def _next(self, now: float, tried: Endpoint | None = None) -> Endpoint | None:
        """Return the first address that does not rest, another than the one tried; None: all rest."""
        return next((one for one in self.endpoints if one.rests_until <= now and one is not tried), None)

    async def write(
        self, request: Request, hear: Callable[[EventContent], bool], *, awaited: bool = True
    ) -> None:
        """Have a text written; `hear` takes what comes and tells when that is enough.

        `awaited`: whether it is worth waiting for an address that asks to be left alone.
        """
        loop = asyncio.get_running_loop()
        tried, begun, reason = None, 0.0, DiedError("it failed a moment ago")
        for last in (False, True):
            if place := self._next(loop.time(), tried):
                begun = loop.time()  # each address has its own time
            elif tried is None or loop.time() >= begun + self._timeout:
                break
            else:
                place = tried
            try:
                await self._converse(place, request, hear, begun + self._timeout, awaited=awaited)
            except DiedError as error:
                tried, reason = place, error
                if place.streaming or place.heard > begun:
                    continue  # it writes for others: this text's failure alone
                place.side.known = False
                # Others are still served by the only address while this request is sent to it once more.
                if last or len(self.endpoints) > 1 or loop.time() >= begun + self._timeout:
                    place.rest(loop.time())
            else:
                place.failures, place.rests_until = 0, -math.inf
                return
        if self._next(loop.time()):
            raise NotReadyError(f"The server wrote nothing ({reason}). Try again.", code="remote_server")
        raise reason.error or errors.gone([one.side.address.host for one in self.endpoints], reason)

    async def _converse(
        self,
        place: Endpoint,
        request: Request,
        hear: Callable[[EventContent], bool],
        deadline: float,
        *,
        awaited: bool,
    ) -> None:
        """Send a request to one address; again where it asks to be left alone first and there is time.

        Nothing is sent for a session that was told to wait before that is over.
        """
        loop, waited = asyncio.get_running_loop(), 0
        host, session = place.side.address.host, request.session
        while True:
            seconds, status = place.waits.left(session, loop.time())
            if not seconds:
                try:
                    await self._listen(place, request, hear, deadline)
                except AskedToWaitError as asked:
                    self.figures.addresses[host].throttled += 1
                    status, after = asked.error.status, pause(waited) if asked.after is None else asked.after
                    seconds = place.waits.asked(session, status, after, loop.time())
                    waited += 1
                else:
                    return
            if not awaited or loop.time() + seconds >= deadline:
                error = errors.refused(host, status)
                error.after = seconds
                raise error
            await asyncio.sleep(seconds)

    async def _listen(
        self, place: Endpoint, request: Request, hear: Callable[[EventContent], bool], deadline: float
    ) -> None:
        """Hear an answer out. Once there is something of it, it ends with what there is."""
        side, loop, spoke = place.side, asyncio.get_running_loop(), False
        counted = self.figures.sent(side.address.host, request.session, loop.time())
        self._watch(place)
        try:
            async with asyncio.timeout_at(deadline) as patience:
                await self._check(side)
                async with aclosing(side.stream(request, self._dialect)) as events:
                    async for heard in events:
                        await self._check_answer(side, heard)
                        counted.heard(heard, loop.time())
                        if heard.tokens or heard.ended:
                            place.heard, place.asked = loop.time(), math.inf
                        if heard.tokens:
                            place.streaming += not spoke
                            spoke = True
                            patience.reschedule(loop.time() + self._timeout)
                        if hear(heard):
                            patience.reschedule(None)
                            await _drain(events, ENDED if heard.ended else ENOUGH)
                            return
        except FAILURES as error:
            if spoke:
                side.known = False
                hear(CUT)
                return
            if isinstance(error, TimeoutError):
                raise DiedError(NO_TIME) from None
            if isinstance(error, InvalidAnswerError):
                raise errors.strange(side.address.host, error) from None
            raise
        finally:
            place.streaming -= spoke
            counted.end()
        if not spoke:
            raise DiedError("its answer broke off")
        hear(CUT)

    def _watch(self, place: Endpoint) -> None:
        """Have an address probed that has been asked for a while without a word."""
        loop = asyncio.get_running_loop()
        place.asked = min(place.asked, loop.time())
        if loop.time() > place.asked + SILENT and place.probe is None:
            place.probe = loop.create_task(self._probe(place))

    async def _probe(self, place: Endpoint) -> None:
        """Leave a silent address alone for a while where it does not even say who it is."""
        try:
            async with asyncio.timeout(PROBED):
                await self._recognize(place.side)
        except FAILURES:
            place.side.known = False
            place.rest(asyncio.get_running_loop().time())
        finally:
            place.asked, place.probe = math.inf, None

    async def _check(self, side: Client) -> None:
        """Ask an address that is new, or has failed, who it is."""
        if side.known:
            return
        try:
            far = await self._recognize(side)
        except EngineGoneError as error:
            raise DiedError(NO_MODEL, error) from None
        if far.identity != self._far.identity:
            raise errors.changed(side.address.host)
        side.known = True

    async def _check_answer(self, side: Client, heard: EventContent) -> None:
        """Notice that another model answers than before, or the same one in another way."""
        name, version = heard.model, self._far.version
        if version and heard.version and heard.version != version:
            side.known = False
            raise errors.changed(side.address.host)
        if not name or name in self._called or len(self._called) >= MOST_NAMES:
            return
        if self._called:
            side.known = False
            await self._check(side)  # one model may be called by several names
        self._called.add(name)


async def _drain(events: AsyncGenerator[EventContent], seconds: float) -> None:
    """Let an answer come to its end."""
    with suppress(*FAILURES):
        async with asyncio.timeout(seconds):
            async for _ in events:
                pass
