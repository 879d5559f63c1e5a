"""Completing in this process: the pilot, waited for."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from jupyter_turbopilot.completer.waiting import Replies
from jupyter_turbopilot.context.facts import NONE
from jupyter_turbopilot.engine.job import STOPPED
from jupyter_turbopilot.engine.lifecycle import Phase, not_ready
from jupyter_turbopilot.hierarchy.follow import follow
from jupyter_turbopilot.hierarchy.growth import grow
from jupyter_turbopilot.pilot.pilot import Pilot

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.context.facts import Facts
    from jupyter_turbopilot.engine.lifecycle import EngineState
    from jupyter_turbopilot.hierarchy.event import Event
    from jupyter_turbopilot.reply import Reply
    from jupyter_turbopilot.request import Completion, Hierarchy

POLL = 0.05


def _print_to_terminal(message: str) -> None:
    if sys.stderr.isatty():
        print(message, file=sys.stderr, flush=True)


class InProcess:
    """A model in this process, loaded when it is first needed."""

    def __init__(self, settings: Turbopilot, notify: Callable[[str], None] | None = None) -> None:
        """`notify` is called with a message when a caller has to wait until a model is loaded."""
        self.pilot = Pilot(settings)
        self._notify = notify or _print_to_terminal

    def begin(self) -> None:
        """Start loading in the background."""
        if self.pilot.worker.state.phase in {Phase.EMPTY, Phase.FAILED}:
            self.pilot.start()

    def wait(self) -> None:
        """Return once the model is loaded, or say why it is not."""
        self.begin()
        state = self._settled()
        if not state.ready:
            raise not_ready(state)

    def use(self, model: str) -> None:
        """Load another model; where that fails, the one before stays in use."""
        if model == self.pilot.selected and self.ready():
            return
        self.pilot.select(model)
        state = self._settled()
        if self.pilot.selected != model or not state.ready:
            raise not_ready(state)

    def _settled(self) -> EngineState:
        """Wait for the end of loading."""
        if (state := self.pilot.worker.state).phase in {Phase.LOADING, Phase.ASLEEP, Phase.WAKING}:
            self._notify(f"Loading {state.model}…")
        while (state := self.pilot.worker.state).phase is Phase.LOADING:
            time.sleep(POLL)
        return state

    def ready(self) -> bool:
        """Tell whether a completion could begin at once."""
        return self.pilot.worker.state.ready

    def replies(self, request: Completion, facts: Facts = NONE) -> Generator[Reply]:
        """Yield the reply as it grows; stopping early stops the model."""
        self.wait()
        replies = Replies()
        job = self.pilot.completer.submit(request, replies.listen, facts, memory=self.pilot.memory)
        try:
            for reply in replies:
                if reply.error:
                    raise reply.error
                yield reply
        finally:
            job.cancel.set(STOPPED)

    def hierarchy(self, request: Hierarchy, facts: Facts = NONE) -> Generator[Event]:
        """Return what happens while functions are written; stopping early stops the model."""
        growth = grow(request, facts)
        self.wait()  # the request's seconds are for writing
        return follow(growth, lambda completion: self.replies(completion, facts))

    def last(self, request: Completion, facts: Facts = NONE) -> Reply:
        """Return the whole reply."""
        *_, reply = self.replies(request, facts)
        return reply

    def close(self) -> None:
        """Give the memory back."""
        self.pilot.stop()
