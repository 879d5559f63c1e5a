"""Completion in this process: blocking access to a pilot."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.kernel_context import NONE
from jupyter_turbopilot.completer.plan import Admission
from jupyter_turbopilot.completer.reply_iterators import Replies
from jupyter_turbopilot.engine.job import STOPPED
from jupyter_turbopilot.engine.lifecycle import not_ready
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.jupyter.runtime import access_of_process, check_file
from jupyter_turbopilot.protocol.phase import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from jupyter_turbopilot.analysis.kernel_context import KernelContext
    from jupyter_turbopilot.engine.lifecycle import EngineState
    from jupyter_turbopilot.protocol.reply import Reply
    from jupyter_turbopilot.protocol.request import Completion
    from jupyter_turbopilot.settings.config import Turbopilot

POLL = 0.05


def _print_to_terminal(message: str) -> None:
    if sys.stderr.isatty():
        print(message, file=sys.stderr, flush=True)


class InProcess:
    """A model in this process, loaded when first needed."""

    def __init__(
        self,
        settings: Turbopilot,
        notify: Callable[[str], None] | None = None,
        file: Path | None = None,
    ) -> None:
        """`notify` is called with a message before a caller has to wait for a model.

        `file`: the completed file; None: the current folder decides whether completion is allowed.
        """
        self.pilot = Pilot(settings, access=access_of_process(settings))
        self._file = file
        self._notify = notify or _print_to_terminal

    def check(self) -> None:
        """Raise a DisabledError if the administrator switched completion off, or in this folder."""
        check_file(self.pilot.access, self._file)

    def begin(self) -> None:
        if self.pilot.worker.state.phase in {Phase.EMPTY, Phase.FAILED}:
            self.pilot.start()

    def wait(self) -> None:
        """Wait until the model is loaded; raise the error if it cannot be."""
        self.begin()
        state = self._settled()
        if not state.ready:
            raise not_ready(state)

    def use(self, model: str) -> None:
        """Load another model; if that fails, the previous one stays in use."""
        if model == self.pilot.selected and self.ready():
            return
        self.pilot.select(model)
        state = self._settled()
        if self.pilot.selected != model or not state.ready:
            raise not_ready(state)

    def _settled(self) -> EngineState:
        if (state := self.pilot.worker.state).phase in {Phase.LOADING, Phase.UNLOADED, Phase.RELOADING}:
            self._notify(f"Loading {state.model}…")
        while (state := self.pilot.worker.state).phase is Phase.LOADING:
            time.sleep(POLL)
        return state

    def admission(self, kernel_context: KernelContext) -> Admission:
        """Return what a request may use."""
        level, notebook_index = self.pilot.worker.level(), self.pilot.notebook_index
        return Admission(level=level, notebook_index=notebook_index, kernel_context=kernel_context)

    def ready(self) -> bool:
        return self.pilot.worker.state.ready

    def replies(self, request: Completion, kernel_context: KernelContext = NONE) -> Generator[Reply]:
        """Yield the growing reply; closing the generator cancels the request."""
        self.check()
        self.wait()
        replies = Replies()
        pilot = self.pilot
        job = pilot.completer.submit(request, replies.listen, self.admission(kernel_context))
        try:
            for reply in replies:
                if reply.error:
                    raise reply.error
                yield reply
        finally:
            job.cancel.set(STOPPED)

    def last(self, request: Completion, kernel_context: KernelContext = NONE) -> Reply:
        *_, reply = self.replies(request, kernel_context)
        return reply

    def close(self) -> None:
        self.pilot.stop()
