"""A request on its way: to the first address that answers, and once more where it died."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from jupyter_turbopilot.engine.remote import words
from jupyter_turbopilot.engine.remote.back_off import Rests, Waits, pause
from jupyter_turbopilot.engine.remote.dialect import Heard
from jupyter_turbopilot.engine.remote.far_side import Kind
from jupyter_turbopilot.engine.remote.figures import Figures
from jupyter_turbopilot.engine.remote.words import AskedToWaitError, DiedError, StrangeAnswerError
from jupyter_turbopilot.errors import EngineGoneError, NotReadyError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from jupyter_turbopilot.engine.remote.address import Address
    from jupyter_turbopilot.engine.remote.dialect import Dialect, Request
    from jupyter_turbopilot.engine.remote.far_side import FarSide

# Seconds in which an answer may come to its end, so that its connection is kept: one that says that it has
# ended, and one of which there is enough.
ENDED, ENOUGH = 1.0, 0.05
# Each key takes the request of the one before back, so none may last long enough to fail. An address that has
# been silent for so many seconds is asked, in so many, who it is.
SILENT, PROBED = 3.0, 3.0
NO_TIME, NO_MODEL = "it does not answer in time", "it has no model loaded"
MOST_NAMES = 16  # under which one model answers
FAILURES = (AskedToWaitError, DiedError, StrangeAnswerError, TimeoutError, TurbopilotError)
CUT = Heard(ended=True, cut=True)


class Side(Protocol):
    """One address."""

    address: Address
    known: bool

    def stream(self, request: Request, dialect: Dialect) -> AsyncGenerator[Heard]:
        """Send a request; yield what its answer says."""


@dataclass
class _Use:
    """What an address gives."""

    streaming: int = 0  # texts that are being written there
    heard: float = -math.inf  # when it last wrote something of a text, or its end
    asked: float = math.inf  # since when it has been asked without a word
    probe: asyncio.Task[None] | None = None  # while it is being asked whether it is there at all

    def serves(self, since: float) -> bool:
        """Tell whether it has written for anybody since then."""
        return self.streaming > 0 or self.heard > since


class Exchange:
    """Sends requests to the first of several addresses that answers. Used on the thread of connections."""

    def __init__(
        self,
        sides: Sequence[Side],
        far: FarSide,
        dialect: Dialect,
        recognize: Callable[[Side], Awaitable[FarSide]],
        timeout: float,
    ) -> None:
        """`recognize` asks an address who it is: all have to be as `far`."""
        self._sides = sides
        self._far = far
        self._dialect = dialect
        self._recognize = recognize
        self._timeout = timeout
        self._rests = Rests(len(sides))
        self._uses = [_Use() for _ in sides]
        self._waits = Waits()
        self.figures = Figures([side.address.host for side in sides])
        # How the model is called in answers. Others than ours may call it otherwise than in their list.
        self._called = {far.model} if far.kind is Kind.OURS else set()

    def rest(self, number: int) -> None:
        """Leave an address alone for a while: it did not answer."""
        self._rests.failed(number, asyncio.get_running_loop().time())

    async def write(self, request: Request, hear: Callable[[Heard], bool], *, awaited: bool = True) -> None:
        """Have a text written; `hear` takes what comes and tells when that is enough.

        `awaited`: whether it is worth waiting for an address that asks to be left alone.
        """
        loop = asyncio.get_running_loop()
        tried, begun, reason = None, 0.0, DiedError("it failed a moment ago")
        for last in (False, True):
            number = self._rests.next(loop.time(), tried)
            if number is not None:
                begun = loop.time()  # each address has its own time
            elif tried is None or loop.time() >= begun + self._timeout:
                break
            else:
                number = tried
            side = self._sides[number]
            try:
                await self._converse(number, request, hear, begun + self._timeout, awaited=awaited)
            except DiedError as error:
                tried, reason = number, error
                if self._uses[number].serves(begun):
                    continue  # it is this text's failure alone
                side.known = False
                # Others are still served by the only address while this request is sent to it once more.
                if last or len(self._sides) > 1 or loop.time() >= begun + self._timeout:
                    self._rests.failed(number, loop.time())
            else:
                self._rests.answered(number)
                return
        if self._rests.next(loop.time()) is not None:
            raise NotReadyError(f"The server wrote nothing ({reason}). Try again.", code="far_side")
        raise reason.error or words.gone(", ".join(side.address.host for side in self._sides), reason)

    async def _converse(
        self,
        number: int,
        request: Request,
        hear: Callable[[Heard], bool],
        deadline: float,
        *,
        awaited: bool,
    ) -> None:
        """Send a request to one address; again where it asks to be left alone first and there is time.

        Nothing is sent for a session that was told to wait before that is over.
        """
        loop, waits = asyncio.get_running_loop(), 0
        host, session = self._sides[number].address.host, request.session
        while True:
            seconds, status = self._waits.left(number, session, loop.time())
            if not seconds:
                try:
                    await self._listen(number, request, hear, deadline)
                except AskedToWaitError as asked:
                    self.figures.addresses[host].told_to_wait += 1
                    status, after = asked.error.status, pause(waits) if asked.after is None else asked.after
                    seconds = self._waits.asked(number, session, status, after, loop.time())
                    waits += 1
                else:
                    return
            if not awaited or loop.time() + seconds >= deadline:
                raise words.asked_to_wait(host, status, seconds)
            await asyncio.sleep(seconds)

    async def _listen(
        self, number: int, request: Request, hear: Callable[[Heard], bool], deadline: float
    ) -> None:
        """Hear an answer out. Once there is something of it, it ends with what there is."""
        side, use = self._sides[number], self._uses[number]
        loop, spoke = asyncio.get_running_loop(), False
        counted = self.figures.sent(side.address.host, request.session, loop.time())
        self._watch(number)
        try:
            async with asyncio.timeout_at(deadline) as patience:
                await self._check(side)
                async with aclosing(side.stream(request, self._dialect)) as events:
                    async for heard in events:
                        await self._check_answer(side, heard)
                        counted.heard(heard, loop.time())
                        if heard.tokens or heard.ended:
                            use.heard, use.asked = loop.time(), math.inf
                        if heard.tokens:
                            use.streaming += not spoke
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
            if isinstance(error, StrangeAnswerError):
                raise words.strange(side.address.host, error) from None
            raise
        finally:
            use.streaming -= spoke
            counted.end()
        if not spoke:
            raise DiedError("its answer broke off")
        hear(CUT)

    def _watch(self, number: int) -> None:
        """Have an address probed that has been asked for a while without a word."""
        loop, use = asyncio.get_running_loop(), self._uses[number]
        use.asked = min(use.asked, loop.time())
        if loop.time() > use.asked + SILENT and use.probe is None:
            use.probe = loop.create_task(self._probe(number))

    async def _probe(self, number: int) -> None:
        """Leave a silent address alone for a while where it does not even say who it is."""
        side, use = self._sides[number], self._uses[number]
        try:
            async with asyncio.timeout(PROBED):
                await self._recognize(side)
        except FAILURES:
            side.known = False
            self.rest(number)
        finally:
            use.asked, use.probe = math.inf, None

    async def _check(self, side: Side) -> None:
        """Ask an address that is new, or has failed, who it is."""
        if side.known:
            return
        try:
            far = await self._recognize(side)
        except EngineGoneError as error:
            raise DiedError(NO_MODEL, error) from None
        if far.identity != self._far.identity:
            raise words.changed(side.address.host)
        side.known = True

    async def _check_answer(self, side: Side, heard: Heard) -> None:
        """Notice that another model answers than before, or the same one in another way."""
        name, version = heard.model, self._far.version
        if version and heard.version and heard.version != version:
            side.known = False
            raise words.changed(side.address.host)
        if not name or name in self._called or len(self._called) >= MOST_NAMES:
            return
        if self._called:
            side.known = False
            await self._check(side)  # one model may be called by several names
        self._called.add(name)


async def _drain(events: AsyncGenerator[Heard], seconds: float) -> None:
    """Let an answer come to its end."""
    with suppress(*FAILURES):
        async with asyncio.timeout(seconds):
            async for _ in events:
                pass
