"""An engine that has a server elsewhere write."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.job import Priority
from jupyter_turbopilot.engine.remote.dialect import Heard, owner_fields
from jupyter_turbopilot.engine.remote.held_token import FREE, after, ask_for_one, held_token
from jupyter_turbopilot.engine.remote.run import Answer, RemoteRun
from jupyter_turbopilot.errors import EngineError, EngineGoneError, TextFailedError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from jupyter_turbopilot.engine.base import Abilities
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.remote.dialect import Dialect
    from jupyter_turbopilot.engine.remote.exchange import Exchange
    from jupyter_turbopilot.engine.remote.far_side import FarSide
    from jupyter_turbopilot.engine.remote.figures import Figures
    from jupyter_turbopilot.engine.remote.thread import Connections
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.generation import Ask

log = logging.getLogger(__name__)

NOT_AWAITED = {priority.name.lower() for priority in Priority if not priority.awaited}


class RemoteEngine:
    """A far side as an engine. Requests are sent by a thread of their own; a step waits for what comes."""

    fim = "auto"
    pid: int | None = None  # nothing is computed here

    def __init__(
        self,
        far: FarSide,
        vocabulary: Vocabulary,
        abilities: Abilities,
        dialect: Dialect,
        exchange: Exchange,
        connections: Connections,
        close: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self.name = far.model
        self.identity = far.identity
        self.context_size = far.context_size
        self.abilities = abilities
        self.vocabulary = vocabulary
        # Whether a text is held to its beginning here, by choosing from what the far side lists.
        self._chooses = abilities.holds and not far.holds
        self._kind = far.kind
        self._dialect = dialect
        self._exchange = exchange
        self._connections = connections
        self._close = close
        self._came = threading.Condition()
        self._runs: set[RemoteRun] = set()  # those that have room

    @property
    def figures(self) -> Figures:
        """What is counted of the far side."""
        return self._exchange.figures

    def start(self, ask: Ask) -> RemoteRun | None:
        """Send a request; None while as many are under way as the far side takes."""
        size = len(ask.prompt)
        if not 0 < size < self.context_size:
            raise EngineError(
                f"A prompt of {size} tokens does not fit into the server's context of {self.context_size}. "
                "Send a shorter one."
            )
        limit = max(0, min(ask.sampling.max_tokens, self.context_size - size))
        run = RemoteRun(ask, limit, ask.sampling.beginning)
        ask.usage.prompt_tokens = size
        return run if self._send(run) else None

    def _send(self, run: RemoteRun) -> bool:
        """Send what is left to be asked, if there is room."""
        if len(self._runs) >= self.abilities.places:
            return False
        left = run.left()
        answer = run.answer = Answer(left.sampling.max_tokens)
        self._runs.add(run)
        run.request = self._connections.begin(self._converse(left, answer))
        return True

    async def _converse(self, ask: Ask, answer: Answer) -> None:
        """Have a text written, and say that it has ended, whatever happens."""

        def hear(heard: Heard) -> bool:
            with self._came:
                enough = answer.hear(heard)
                self._came.notify_all()
            return enough

        error: TurbopilotError | None = None
        try:
            free = await self._held(ask, hear) if self._chooses else ask
            if free:
                await self._write(free, hear)
        except TurbopilotError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - a mistake of ours: its text may hold a prompt
            log.warning("Turbopilot: a request to the server failed (%s)", type(failure).__name__)
            error = EngineError(f"The request to the server failed ({type(failure).__name__}).")
        with self._came:
            answer.ended, answer.error = True, error
            self._came.notify_all()

    async def _held(self, ask: Ask, hear: Callable[[Heard], bool]) -> Ask | None:
        """Write tokens until the text is free; return what is left to be asked, if anything is."""
        while ask.sampling.beginning != FREE and ask.sampling.max_tokens > 0:
            heard: list[Heard] = []

            def take(told: Heard, heard: list[Heard] = heard) -> bool:
                heard.append(told)
                return bool(told.tokens) or told.ended

            await self._write(ask_for_one(ask), take)
            told = next((token for each in heard for token in each.tokens), None)
            token = held_token(ask.sampling.beginning, told, self.vocabulary)
            if token is None:
                hear(Heard(ended=True))
                return None
            if hear(Heard([token])):
                return None
            ask = after(ask, token)
        return ask

    async def _write(self, ask: Ask, hear: Callable[[Heard], bool]) -> None:
        """Have an ask written, unless there is no way to ask it."""
        if request := self._dialect.request(ask):
            body = request.body | owner_fields(self._kind, ask.owner)
            request = replace(request, body=body, session=ask.session)
            await self._exchange.write(request, hear, awaited=ask.priority not in NOT_AWAITED)

    def step(self, runs: Sequence[RemoteRun], attention: Cancel) -> None:
        """Wait until something has come for any of the runs, or for `attention`; hand it out."""
        if attention.is_set():
            return  # what has come is handed out by the next step
        with attention.interrupting(self._wake), self._came:
            self._came.wait_for(lambda: attention.is_set() or any(run.news for run in runs))
            for run in runs:
                run.take()
        for run in runs:
            if isinstance(run.error, EngineGoneError):
                raise run.error
        for run in runs:
            if run.error:
                raise TextFailedError(run.error, run)

    def _wake(self) -> None:
        with self._came:
            self._came.notify_all()

    def suspend(self, run: RemoteRun) -> None:
        """Close a run's request; what has come stays."""
        with self._came:
            run.take()
        self.release(run)

    def resume(self, run: RemoteRun) -> bool:
        """Ask for the rest of a run; False while others need its place."""
        return run.done or self._send(run)

    def release(self, run: RemoteRun) -> None:
        """Close a run's request, so that the far side stops; one that has ended keeps its connection."""
        self._runs.discard(run)
        request, run.request = run.request, None
        if request and not run.answer.ended:
            request.cancel()

    def use_threads(self, count: int) -> None:
        """Nothing is computed here."""

    def close(self, *, keep: bool = True) -> None:  # noqa: ARG002 - nothing is kept here
        """Close all connections."""
        self._runs.clear()
        self._connections.close(self._close())
