"""As-you-type ghost text in terminal IPython."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.terminal.shortcuts.auto_suggest import NavigableAutoSuggestFromHistory
from prompt_toolkit.auto_suggest import Suggestion

from jupyter_turbopilot.completer.waiting import AsyncReplies
from jupyter_turbopilot.engine.job import DISCONNECTED
from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.memory.local_files import LocalFiles
from jupyter_turbopilot.shell.history import request_at

if TYPE_CHECKING:
    from IPython.terminal.interactiveshell import TerminalInteractiveShell
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.document import Document

    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.shell.in_process import InProcess


class TurbopilotSuggest(NavigableAutoSuggestFromHistory):
    """History first where it fits exactly, the model otherwise."""

    def __init__(self, shell: TerminalInteractiveShell, local: InProcess) -> None:
        super().__init__()
        self._shell = shell
        self._local = local
        self._known: tuple[str, str] | None = None  # the text before the cursor and what follows it
        self._job: Job | None = None  # what was asked last

    async def _trigger_llm(self, buffer: Buffer) -> None:
        """Keep IPython's own hook, which asks for jupyter_ai, out of the way."""

    async def _trigger_llm_core(self, buffer: Buffer) -> None:
        """Keep IPython's own hook, which asks for jupyter_ai, out of the way."""

    async def get_suggestion_async(self, buffer: Buffer, document: Document) -> Suggestion | None:
        """Complete at the cursor; typing along a suggestion asks nothing."""
        before, after = document.text_before_cursor, document.text_after_cursor
        if not before.strip() or after.strip():
            self._stop()
            return super().get_suggestion(buffer, document)
        if self._known:
            start, rest = self._known
            whole = start + rest
            if before.startswith(start) and whole.startswith(before) and len(whole) > len(before):
                return Suggestion(whole[len(before) :])
        if not self._local.ready():
            return super().get_suggestion(buffer, document)
        text = await self._ask(buffer)
        if buffer.document != document:
            return None  # prompt_toolkit asks anew, and that goes on with what is being written
        if not text:
            return super().get_suggestion(buffer, document)
        self._known = (before, text)
        return Suggestion(text)

    async def _ask(self, buffer: Buffer) -> str:
        """Wait for an answer, or for the next key: prompt_toolkit asks nothing while it waits."""
        document, replies, text = buffer.document, AsyncReplies(), ""
        request = request_at(self._shell, document.text, document.cursor_position)

        def changed(_: Buffer) -> None:
            replies.leave()

        buffer.on_text_changed += changed
        buffer.on_cursor_position_changed += changed
        try:
            pilot = self._local.pilot
            self._job = pilot.completer.submit(request, replies.listen, memory=pilot.memory)
            async for reply in replies:
                text = reply.items[0].text if reply.items else ""
        except TurbopilotError:
            return ""
        except asyncio.CancelledError:
            self._stop()
            raise
        finally:
            buffer.on_text_changed -= changed
            buffer.on_cursor_position_changed -= changed
        return text

    def _stop(self) -> None:
        """End what is being written: nobody goes on with it."""
        if self._job:
            self._job.cancel.set(DISCONNECTED)
            self._job = None


def turn_on(shell: TerminalInteractiveShell, local: InProcess) -> None:
    """Put our suggestions in the prompt."""
    local.begin()
    with suppress(FileNotFoundError):  # the folder that the session began in may be gone
        if (folder := Path.cwd()) != folder.parent:  # the whole disk is nobody's own code
            local.pilot.remember(LocalFiles(folder))
    if isinstance(shell.auto_suggest, NavigableAutoSuggestFromHistory):
        shell.auto_suggest.disconnect()
    shell.auto_suggest = TurbopilotSuggest(shell, local)
    if shell.pt_app:
        shell.pt_app.auto_suggest = shell.auto_suggest
        shell.auto_suggest.connect(shell.pt_app)


def turn_off(shell: TerminalInteractiveShell) -> None:
    """Give the prompt the suggestions back that it is configured for."""
    shell._set_autosuggestions()  # noqa: SLF001 - IPython has no public way back
    if isinstance(shell.auto_suggest, NavigableAutoSuggestFromHistory) and shell.pt_app:
        shell.auto_suggest.connect(shell.pt_app)


def is_on(shell: Any) -> bool:
    """Tell whether the prompt has our suggestions."""
    return isinstance(getattr(shell, "auto_suggest", None), TurbopilotSuggest)
