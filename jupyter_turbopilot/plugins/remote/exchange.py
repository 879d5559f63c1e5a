"""Sends requests to the remote server, and retries failed ones."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from jupyter_turbopilot.plugins.remote.dialect import EventContent
from jupyter_turbopilot.plugins.remote.errors import AskedToWaitError, DiedError, InvalidAnswerError
from jupyter_turbopilot.plugins.remote.remote_server import Kind
from jupyter_turbopilot.protocol.errors import EngineError, EngineGoneError, NotReadyError, TurbopilotError
from jupyter_turbopilot.util.failures import backoff

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from jupyter_turbopilot.plugins.remote.dialect import Dialect, Request
    from jupyter_turbopilot.plugins.remote.http_client import HttpClient
    from jupyter_turbopilot.plugins.remote.remote_server import RemoteServer

# Seconds to wait for the rest of an answer, so that its connection can be reused: after its end was reported,
# and if no more tokens are needed.
ENDED, ENOUGH = 1.0, 0.05
# Each keystroke cancels the previous request, so requests may never reach their timeout. A server that was
# silent for SILENT seconds is probed, and must answer within PROBED seconds.
SILENT, PROBED = 3.0, 3.0
# Seconds to wait if the server asks to wait: at least, at most, and at first if it does not say how long.
LEAST, LONGEST, FIRST = 0.1, 60.0, 1.0
NO_TIME, NO_MODEL = "it does not answer in time", "it has no model loaded"
MOST_NAMES = 16  # names of one model
FAILURES = (AskedToWaitError, DiedError, InvalidAnswerError, TimeoutError, TurbopilotError)
CUT = EventContent(ended=True, cut=True)


def unreachable(client: HttpClient, reason: object) -> EngineGoneError:
    """Return the error if the server does not answer. In a hub, it fits into a toast of 140 characters."""
    if client.in_hub:  # its users can neither check nor change the address
        message = f"Your hub's completion server is unreachable ({reason}). Contact its administrator."
    else:
        message = f"{client.address.host} cannot be reached ({reason}). Is the server running?"
    error = EngineGoneError(message)
    error.max_delay = 10.0  # connecting again costs nothing
    return error


@asynccontextmanager
async def limited(client: HttpClient, seconds: float) -> AsyncIterator[asyncio.Timeout]:
    """Limit the time of the block, and convert its exceptions to errors for the user."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield limit
    except TimeoutError:
        raise DiedError(NO_TIME) from None
    except InvalidAnswerError as error:
        host = client.address.host
        message = f"{host} sent {error}. Check that c.TurbopilotRemote.url names a completions server."
        raise EngineError(message) from None


class Exchange:
    """Sends requests to the server. It runs on the connections' thread."""

    def __init__(
        self,
        client: HttpClient,
        server: RemoteServer,
        dialect: Dialect,
        recognize: Callable[[HttpClient], Awaitable[RemoteServer]],
        timeout: float,
    ) -> None:
        """`recognize` requests the description of the server, which must match `server`."""
        self.client = client
        self._server = server
        self._dialect = dialect
        self._recognize = recognize
        self._timeout = timeout
        # The model's names in answers. Other software may use different names in answers and in the list.
        self._names = {server.model} if server.kind is Kind.OURS else set()
        self._streaming = 0  # answers that have started
        self._received = -math.inf  # the time of the last token or end of an answer
        self._asked = math.inf  # the time of the first request since then
        self._probe: asyncio.Task[None] | None = None  # the probe in progress
        self._silent = False  # whether the last probe has failed
        # The sessions that the server asked to wait: until when, and with which error. A router may have free
        # servers for others.
        self._waits: dict[str, tuple[float, TurbopilotError]] = {}

    async def write(
        self, request: Request, receive: Callable[[EventContent], bool], *, awaited: bool = True
    ) -> None:
        """Send a request, and pass the events of its answer to `receive` until that returns True.

        `awaited`: whether to wait if the server asks to retry later.
        """
        loop = asyncio.get_running_loop()
        begun, silent, self._silent = loop.time(), self._silent, False
        if silent:
            raise unreachable(self.client, NO_TIME)
        deadline, waited, died = begun + self._timeout, 0, False
        while True:
            await self._wait_for_session(request.session, deadline if awaited else -math.inf)
            try:
                return await self._listen(request, receive, deadline)
            except AskedToWaitError as asked:
                seconds = backoff(waited, FIRST, LONGEST) if asked.after is None else asked.after
                self._wait(request.session, asked.error, seconds)
                self.client.known &= not asked.lost_model
                waited += 1
            except DiedError as error:
                serves_others = bool(self._streaming) or self._received > begun
                self.client.known &= serves_others
                if died or loop.time() >= deadline:
                    if serves_others:
                        message = f"The server generated nothing ({error}). Try again."
                        raise NotReadyError(message, code="remote_server") from None
                    raise error.error or unreachable(self.client, error) from None
                died = True

    async def _wait_for_session(self, session: str, deadline: float) -> None:
        """Wait if the server asked to, or raise its error if that would end after the deadline."""
        loop = asyncio.get_running_loop()
        while (wait := self._waits.get(session)) and wait[0] > loop.time():
            until, error = wait
            if until >= deadline:
                raise type(error)(error.message, code=error.code, after=until - loop.time())
            await asyncio.sleep(until - loop.time())

    def _wait(self, session: str, error: TurbopilotError, seconds: float) -> None:
        """Send nothing for a session for some seconds."""
        now = asyncio.get_running_loop().time()
        self._waits = {name: wait for name, wait in self._waits.items() if wait[0] > now}
        self._waits[session] = now + min(max(LEAST, seconds), LONGEST), error

    async def _listen(
        self, request: Request, receive: Callable[[EventContent], bool], deadline: float
    ) -> None:
        """Receive an answer. If it fails after the first token, end it there."""
        loop, spoke = asyncio.get_running_loop(), False
        self._watch()
        try:
            async with limited(self.client, deadline - loop.time()) as limit:
                await self._check()
                async with aclosing(self.client.stream(request, self._dialect)) as events:
                    async for received in events:
                        await self._check_answer(received)
                        if received.tokens or received.ended:
                            self._received, self._asked = loop.time(), math.inf
                        if received.tokens:
                            self._streaming += not spoke
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
            self.client.known = False
        finally:
            self._streaming -= spoke
        receive(CUT)

    def _watch(self) -> None:
        """Probe the server if it has been silent for too long."""
        loop = asyncio.get_running_loop()
        self._asked = min(self._asked, loop.time())
        if loop.time() > self._asked + SILENT and self._probe is None:
            self._probe = loop.create_task(self._run_probe())

    async def _run_probe(self) -> None:
        """Let the next request fail if the server does not answer."""
        try:
            async with asyncio.timeout(PROBED):
                await self._recognize(self.client)
        except FAILURES:
            self._silent, self.client.known = True, False
        finally:
            self._asked, self._probe = math.inf, None

    async def _check(self) -> None:
        """Check the description of a server that has failed."""
        if self.client.known:
            return
        try:
            server = await self._recognize(self.client)
        except EngineGoneError as error:
            raise DiedError(NO_MODEL, error) from None
        if server.identity != self._server.identity:
            raise self._changed()
        self.client.known = True

    async def _check_answer(self, received: EventContent) -> None:
        """Raise EngineGoneError if another model or version answers."""
        name, version = received.model, self._server.version
        if version and received.version and received.version != version:
            raise self._changed()
        if name and name not in self._names and len(self._names) < MOST_NAMES:
            if self._names:
                self.client.known = False
                await self._check()  # a model may have several names
            self._names.add(name)

    def _changed(self) -> EngineGoneError:
        """Return the error for a server that has changed its model."""
        self.client.known = False
        host = self.client.address.host
        return EngineGoneError(f"{host} has another model now. Connecting again.", code="model_changed")


async def _drain(events: AsyncGenerator[EventContent], seconds: float) -> None:
    """Wait for the end of an answer."""
    with suppress(*FAILURES):
        async with asyncio.timeout(seconds):
            async for _ in events:
                pass
