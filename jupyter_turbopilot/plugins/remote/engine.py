"""The engine for a remote server, and the thread of its connections."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import CancelledError as Stopped
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_turbopilot.engine.base import Speed
from jupyter_turbopilot.engine.job import Priority
from jupyter_turbopilot.plugins.remote.dialect import EventContent
from jupyter_turbopilot.plugins.remote.remote_server import Kind
from jupyter_turbopilot.plugins.remote.run import ANY, RemoteResponse, RemoteRun
from jupyter_turbopilot.protocol.errors import (
    CancelledError,
    EngineError,
    EngineGoneError,
    TextFailedError,
    TurbopilotError,
)
from jupyter_turbopilot.util.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from concurrent.futures import Future

    from jupyter_turbopilot.engine.base import Capabilities
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.load_shedding import Level
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.plugins.remote.dialect import Dialect
    from jupyter_turbopilot.plugins.remote.exchange import Exchange
    from jupyter_turbopilot.plugins.remote.http_client import HttpClient
    from jupyter_turbopilot.plugins.remote.remote_server import RemoteServer
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Token

log = logging.getLogger(__name__)

T = TypeVar("T")
CLOSING = 2.0  # seconds to wait for connections to be closed
NEVER = -1e9  # a bias
LISTED, LISTED_LATER = 1024, 100  # top logprobs under a prefix constraint
NOT_AWAITED = {priority.name.lower() for priority in Priority if not priority.awaited}


class Connections:
    """A thread with an event loop."""

    def __init__(self, client: HttpClient | None = None) -> None:
        """`client` is closed with it."""
        self._client = client
        self._closed = False
        self._loop = asyncio.new_event_loop()
        thread = start_thread("turbopilot-remote", self._run)
        if not thread:
            raise EngineError("The system cannot start another thread. Try again shortly.")
        self._thread = thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait_for(self, work: Coroutine[Any, Any, T], cancel: Cancel) -> T:
        """Run a coroutine and return its result."""
        future = self.begin(work)
        try:
            with cancel.interrupting(future.cancel):
                return future.result()
        except Stopped:
            raise CancelledError("Connecting to the server was stopped.") from None

    def close(self) -> None:
        """Cancel all coroutines, close the connections, and end the thread."""
        if not self._closed:
            self._closed = True
            self.begin(self._end())
            self._thread.join(CLOSING)  # no server keeps the process from ending

    async def _end(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        try:
            if self._client:
                await self._client.close()
        finally:
            self._loop.call_soon(self._loop.stop)


class RemoteEngine:
    """A remote server as an engine. A separate thread sends the requests; a step waits for tokens."""

    fim = "auto"
    speed = Speed()

    def __init__(
        self,
        server: RemoteServer,
        vocabulary: Vocabulary,
        capabilities: Capabilities,
        dialect: Dialect,
        exchange: Exchange,
        connections: Connections,
    ) -> None:
        self.name = server.model
        self.identity = server.identity
        self.context_size = server.context_size
        self.capabilities = capabilities
        self.vocabulary = vocabulary
        self.kind = server.kind
        self._dialect = dialect
        self._exchange = exchange
        self._connections = connections
        self._received = threading.Condition()
        self._runs: set[RemoteRun] = set()  # with a request in progress

    @property
    def level(self) -> Level | None:
        return self._exchange.client.level

    def start(self, request: EngineRequest) -> RemoteRun | None:
        """Send a request; return None if the server has no free slot."""
        size = len(request.prompt)
        if not 0 < size < self.context_size:
            raise EngineError(
                f"A prompt of {size} tokens does not fit into the server's context of {self.context_size}. "
                "Send a shorter prompt."
            )
        limit = max(0, min(request.sampling.max_tokens, self.context_size - size))
        listed = self.vocabulary if self.kind is Kind.LLAMA else None
        run = RemoteRun(request, limit, request.sampling.beginning, listed)
        request.usage.prompt_tokens = size
        return run if self._send(run) else None

    def _send(self, run: RemoteRun) -> bool:
        """Send the request for the rest of a text, if there is a free slot."""
        if len(self._runs) >= self.capabilities.slots:
            return False
        left = run.left()
        answer = run.answer = RemoteResponse(left.sampling.max_tokens)
        self._runs.add(run)
        run.transfer = self._connections.begin(self._request(left, answer))
        return True

    async def _request(self, request: EngineRequest, answer: RemoteResponse) -> None:
        """Request a text, and mark its answer as ended in any case."""

        def receive(received: EventContent) -> bool:
            with self._received:
                enough = answer.receive(received)
                self._received.notify_all()
            return enough

        error: TurbopilotError | None = None
        try:
            begins = request.sampling.beginning != ANY and request.sampling.max_tokens > 0
            if begins and self.kind is Kind.LLAMA:
                request = await self._begin(request, receive)
            if not answer.ended:
                await self._write(request, receive)
        except TurbopilotError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - its message may contain the prompt
            log.warning("Turbopilot: A request to the server failed (%s)", type(failure).__name__)
            error = EngineError(f"The request to the server failed ({type(failure).__name__}).")
        with self._received:
            answer.ended, answer.error = True, error
            self._received.notify_all()

    async def _begin(self, request: EngineRequest, receive: Callable[[EventContent], bool]) -> EngineRequest:
        """Request the first token from llama-server separately; return the request for the rest.

        llama-server can ban a token only from a whole text, and its probabilities ignore the constraint.
        For the first token, enough of them are listed to compute the probability under the constraint.
        """
        sampling, beginning = request.sampling, request.sampling.beginning
        never = () if beginning.banned is None else ((beginning.banned, NEVER),)
        one = replace(sampling, max_tokens=1, top=LISTED, logit_bias=(*sampling.logit_bias, *never))
        received: list[Token] = []

        def take(event: EventContent) -> bool:
            received.extend(event.tokens)
            return event.ended or bool(received)

        await self._write(replace(request, sampling=one, hint=[]), take)
        tokens = received[:1]
        if beginning.candidates and not tokens:
            return request  # the first token is part of a character, which the server does not send yet
        if not receive(EventContent(tokens, ended=not tokens)):
            left = beginning.after(tokens[0].data)
            top = max(sampling.top, LISTED_LATER) if left.candidates else sampling.top
            rest = replace(sampling, max_tokens=sampling.max_tokens - 1, top=top, beginning=left)
            request = replace(request, prompt=[*request.prompt, tokens[0].id], sampling=rest, hint=[])
        return request

    async def _write(self, request: EngineRequest, receive: Callable[[EventContent], bool]) -> None:
        """Send a request, if the server can serve it."""
        if http_request := self._dialect.request(request):
            await self._exchange.write(http_request, receive, awaited=request.priority not in NOT_AWAITED)

    def step(self, runs: Sequence[RemoteRun], interrupt: Cancel) -> None:
        """Wait for tokens of any run or for `interrupt`, and take the tokens."""
        if interrupt.is_set():
            return  # the next step takes the received tokens
        with interrupt.interrupting(self._wake), self._received:
            self._received.wait_for(lambda: interrupt.is_set() or any(run.news for run in runs))
            for run in runs:
                run.take()
        for run in runs:
            if isinstance(run.error, EngineGoneError):
                raise run.error
        for run in runs:
            if run.error:
                raise TextFailedError(run.error, run)

    def _wake(self) -> None:
        with self._received:
            self._received.notify_all()

    def suspend(self, run: RemoteRun) -> None:
        """Close a run's request; it keeps its text."""
        with self._received:
            run.take()
        self.release(run)

    def resume(self, run: RemoteRun) -> bool:
        """Request the rest of a run; return False if the server has no free slot."""
        return run.done or self._send(run)

    def release(self, run: RemoteRun) -> None:
        """Close a run's request, so that the server stops; an ended one keeps its connection."""
        self._runs.discard(run)
        transfer, run.transfer = run.transfer, None
        if transfer and not run.answer.ended:
            transfer.cancel()

    def use_threads(self, count: int) -> None:
        """Do nothing: the server computes."""

    def close(self, *, keep: bool = True) -> None:  # noqa: ARG002 - part of the protocol
        """Close all connections."""
        self._runs.clear()
        self._connections.close()
