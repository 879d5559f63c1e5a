"""A request on its way: to the first address that answers, and once more where it died."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Protocol

from jupyter_turbopilot.engine.remote import words
from jupyter_turbopilot.engine.remote.back_off import Rests, pause
from jupyter_turbopilot.engine.remote.dialect import Heard
from jupyter_turbopilot.engine.remote.far_side import Kind
from jupyter_turbopilot.engine.remote.words import AskedToWaitError, DiedError, StrangeAnswerError
from jupyter_turbopilot.errors import NotReadyError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from jupyter_turbopilot.engine.remote.address import Address
    from jupyter_turbopilot.engine.remote.dialect import Dialect, Request
    from jupyter_turbopilot.engine.remote.far_side import FarSide

# Seconds in which an answer may come to its end, so that its connection is kept: one that says that it has
# ended, and one of which there is enough.
ENDED, ENOUGH = 1.0, 0.05
NO_TIME = "it does not answer in time"
CUT = Heard(ended=True, cut=True)


class Side(Protocol):
    """One address."""

    address: Address
    known: bool

    def stream(self, request: Request, dialect: Dialect) -> AsyncGenerator[Heard]:
        """Send a request; yield what its answer says."""


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
        # How the model is called in answers. Others than ours may call it otherwise than in their list.
        self._called = far.model if far.kind is Kind.OURS else ""

    def rest(self, number: int) -> None:
        """Leave an address alone for a while: it did not answer."""
        self._rests.failed(number, asyncio.get_running_loop().time())

    async def write(self, request: Request, hear: Callable[[Heard], bool]) -> None:
        """Have a text written; `hear` takes what comes and tells when that is enough."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        tried, reason = None, DiedError("it failed a moment ago")
        for last in (False, True):
            number = self._rests.next(loop.time(), tried)
            number = tried if number is None else number
            if number is None:
                break
            side = self._sides[number]
            try:
                await self._converse(side, request, hear, deadline)
            except DiedError as error:
                tried, reason, side.known = number, error, False
                # Others are still served by the only address while this request is sent to it once more.
                if last or len(self._sides) > 1:
                    self._rests.failed(number, loop.time())
            else:
                self._rests.answered(number)
                return
        if self._rests.next(loop.time()) is None:
            raise words.gone(", ".join(side.address.host for side in self._sides), reason)
        raise NotReadyError(f"The server ended the request ({reason}). Try again.", code="far_side")

    async def _converse(
        self, side: Side, request: Request, hear: Callable[[Heard], bool], deadline: float
    ) -> None:
        """Send a request to one address; again where it asks to be left alone first and there is time."""
        loop, waits = asyncio.get_running_loop(), 0
        while True:
            try:
                await self._listen(side, request, hear, deadline)
            except AskedToWaitError as asked:
                seconds = pause(waits) if asked.after is None else asked.after
                if loop.time() + seconds >= deadline:
                    raise asked.error from None
            else:
                return
            await asyncio.sleep(seconds)
            waits += 1

    async def _listen(
        self, side: Side, request: Request, hear: Callable[[Heard], bool], deadline: float
    ) -> None:
        """Hear an answer out. Once there is something of it, it ends with what there is."""
        loop, spoke = asyncio.get_running_loop(), False
        try:
            async with asyncio.timeout_at(deadline) as patience:
                await self._check(side)
                async with aclosing(side.stream(request, self._dialect)) as events:
                    async for heard in events:
                        self._check_name(side, heard.model)
                        if heard.tokens:
                            spoke = True
                            patience.reschedule(loop.time() + self._timeout)
                        if hear(heard):
                            await _drain(events, ENDED if heard.ended else ENOUGH)
                            return
        except (AskedToWaitError, DiedError, StrangeAnswerError, TimeoutError, TurbopilotError) as error:
            if spoke:
                side.known = False
                hear(CUT)
                return
            if isinstance(error, TimeoutError):
                raise DiedError(NO_TIME) from None
            if isinstance(error, StrangeAnswerError):
                raise words.strange(side.address.host, error) from None
            raise
        if not spoke:
            raise DiedError("its answer broke off")
        hear(CUT)

    async def _check(self, side: Side) -> None:
        """Ask an address that is new, or has failed, who it is."""
        if not side.known:
            if (await self._recognize(side)).identity != self._far.identity:
                raise words.changed(side.address.host)
            side.known = True

    def _check_name(self, side: Side, name: str) -> None:
        """Notice that another model answers than before."""
        self._called = self._called or name
        if name and name != self._called:
            side.known = False
            raise words.changed(side.address.host)


async def _drain(events: AsyncGenerator[Heard], seconds: float) -> None:
    """Let an answer come to its end."""
    with suppress(DiedError, StrangeAnswerError, TimeoutError):
        async with asyncio.timeout(seconds):
            async for _ in events:
                pass
