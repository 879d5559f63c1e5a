"""A completer with a scripted engine, and functions that wait for its replies."""

from __future__ import annotations

import time

from jupyter_turbopilot.analysis.kernel_context import NONE, KernelContext
from jupyter_turbopilot.completer.cache.completion_cache import CompletionCache
from jupyter_turbopilot.completer.completer import Completer
from jupyter_turbopilot.completer.plan import Admission
from jupyter_turbopilot.completer.reply_iterators import Replies
from jupyter_turbopilot.engine.job import Job
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.index.reader import NotebookIndex
from jupyter_turbopilot.protocol.engine_request import RawRequest
from jupyter_turbopilot.protocol.reply import Reply
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.suggestion.readable import NO_READINGS

from ..scripted_engine import ScriptedEngine

PATIENCE = 60.0  # seconds


class Desk:
    """A completer with a scripted engine, and its replies."""

    def __init__(self, engine: ScriptedEngine, /, **settings: object) -> None:
        self.engine = engine
        self.worker = Worker()
        self.resting = False
        self.level = Level.NONE
        self.notebook_index: NotebookIndex | None = None
        self.readings = NO_READINGS
        self.completer = Completer(
            self.worker, Turbopilot(**settings), CompletionCache(1 << 24), lambda: self.resting
        )
        self.worker.load("scripted", lambda _: engine)
        while self.worker.state.phase == "loading":
            time.sleep(0.001)

    def begin(
        self, request: Completion | RawRequest, caller: str = "", kernel_context: KernelContext = NONE
    ) -> tuple[Job, Replies]:
        replies = Replies()
        admission = Admission(
            caller=caller,
            level=self.level,
            notebook_index=self.notebook_index,
            kernel_context=kernel_context,
            readings=self.readings,
        )
        return self.completer.submit(request, replies.listen, admission), replies

    def ask(self, request: Completion | RawRequest) -> list[Reply]:
        return received(self.begin(request)[1])

    def texts(self, request: Completion | RawRequest) -> list[str]:
        return [reply.items[0].text for reply in self.ask(request) if reply.items]


def received(replies: Replies, patience: float = PATIENCE) -> list[Reply]:
    """Return all replies, of which none is waited for longer than that."""
    read: list[Reply] = []
    while not (read and read[-1].done):
        reply = replies.within(patience)
        assert reply, "no reply came"
        read.append(reply)
    return read


def request(source: str = "x = ", offset: int | None = None, **more: object) -> Completion:
    return Completion(
        cells=[Cell(source=source)],
        offset=len(source) if offset is None else offset,
        **more,  # type: ignore[arg-type]
    )
