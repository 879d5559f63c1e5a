"""As-you-type ghost text in terminal IPython."""

from __future__ import annotations

import asyncio
import atexit
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from IPython.terminal.shortcuts.auto_suggest import NavigableAutoSuggestFromHistory
from prompt_toolkit.auto_suggest import Suggestion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import to_formatted_text

from jupyter_turbopilot.completer.waiting import AsyncReplies
from jupyter_turbopilot.engine.job import DISCONNECTED
from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.memory.local_files import LocalFiles
from jupyter_turbopilot.pilot.pilot import study_of
from jupyter_turbopilot.reply import Reply
from jupyter_turbopilot.shell.history import client_of, facts_of, request_at
from jupyter_turbopilot.shell.outcomes import Outcomes
from jupyter_turbopilot.suggestion.imports import bound_name, insertion, uses

if TYPE_CHECKING:
    from IPython.terminal.interactiveshell import TerminalInteractiveShell
    from prompt_toolkit import PromptSession
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.formatted_text import AnyFormattedText, StyleAndTextTuples

    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.shell.in_process import InProcess


class ImportingSuggestion(Suggestion):
    """A suggestion, and the import lines that are put above what is taken of it."""

    def __init__(self, text: str, imports: tuple[str, ...]) -> None:
        super().__init__(text)
        self.imports = imports


class _Known(NamedTuple):
    """What was answered: its name, the text before the cursor, what follows, the imports that this needs."""

    name: str
    start: str
    rest: str
    imports: tuple[str, ...]
    passing: bool  # whether it may be another the next time

    def is_on_its_way(self, before: str) -> bool:
        """Tell whether a text is some of it, or all."""
        return before.startswith(self.start) and (self.start + self.rest).startswith(before)

    def left_at(self, before: str) -> ImportingSuggestion | None:
        """Return what is left of it behind a text; None where that is not on its way."""
        left = (self.start + self.rest)[len(before) :] if self.is_on_its_way(before) else ""
        return ImportingSuggestion(left, self.imports) if left else None


class TurbopilotSuggest(NavigableAutoSuggestFromHistory):
    """History first where it fits exactly, the model otherwise."""

    def __init__(self, shell: TerminalInteractiveShell, local: InProcess) -> None:
        super().__init__()
        self._shell = shell
        self._local = local
        self._known: _Known | None = None
        self._before = ""  # the text before the cursor when something was inserted or suggested last
        self._job: Job | None = None  # what was asked last
        self._rprompts: dict[PromptSession[str], AnyFormattedText] = {}
        self._kept = (-1, 0)  # where a key may put the cursor back to, and by how much the text has moved
        self._outcomes = Outcomes(local.pilot.completer.feedback)

    async def _trigger_llm(self, buffer: Buffer) -> None:
        """Keep IPython's own hook, which asks for jupyter_ai, out of the way."""

    async def _trigger_llm_core(self, buffer: Buffer) -> None:
        """Keep IPython's own hook, which asks for jupyter_ai, out of the way."""

    def connect(self, pt_app: PromptSession[str]) -> None:
        """Follow a prompt: what is inserted and what becomes of suggestions; note imports at its right."""
        super().connect(pt_app)
        if not self._rprompts:
            self._shell.events.register("pre_run_cell", self._outcomes.entered)
        buffer = pt_app.default_buffer
        buffer.on_text_insert += self.inserted
        buffer.on_cursor_position_changed += self._moved
        buffer.on_text_changed += self._outcomes.changed
        buffer.on_text_changed += self._changed
        pt_app.app.on_reset += self._begin
        before = self._rprompts[pt_app] = pt_app.rprompt
        pt_app.rprompt = lambda: self._note(buffer) or to_formatted_text(before)

    def disconnect(self) -> None:
        """Leave all prompts."""
        if self._rprompts:
            self._shell.events.unregister("pre_run_cell", self._outcomes.entered)
        for pt_app in self._connected_apps:
            buffer = pt_app.default_buffer
            buffer.on_text_insert -= self.inserted
            buffer.on_cursor_position_changed -= self._moved
            buffer.on_text_changed -= self._outcomes.changed
            buffer.on_text_changed -= self._changed
            pt_app.app.on_reset -= self._begin
            pt_app.rprompt = self._rprompts.pop(pt_app)
        super().disconnect()

    def _begin(self, _: object) -> None:
        """Another input begins: what was suggested in the last one is over."""
        self._known, self._before = None, ""
        self._outcomes.begun()

    def _note(self, buffer: Buffer) -> StyleAndTextTuples:
        imports = getattr(buffer.suggestion, "imports", ())
        return [("class:auto-suggestion", f"adds {'; '.join(imports)}")] if imports else []

    def inserted(self, buffer: Buffer) -> None:
        """Put the imports above that the part of a suggestion needs which was just taken."""
        begun, before = self._before, buffer.document.text_before_cursor
        self._before = before
        known = self._known
        # A key inserts one character.
        is_taken = before.startswith(begun) and len(before) - len(begun) > 1
        if not (known and known.imports and is_taken and (known.start + known.rest).startswith(before)):
            return
        start = known.start.rfind("\n") + 1  # of the line, some of which may have been typed
        used = {use.name for use in uses(before[start:])}
        needed = tuple(line for line in known.imports if bound_name(line) in used)
        above = insertion(buffer.text, needed)
        if not needed or above.at > start:
            return
        further = tuple(line for line in known.imports if line not in needed)
        self._known = known._replace(start=above.into(known.start), imports=further)
        self._before = above.into(before)
        self._outcomes.moved_behind(above)
        # By the same key as what was taken: one step to undo.
        buffer.document = Document(above.into(buffer.text), len(self._before))
        self._kept = len(begun), len(above.text)
        asyncio.get_running_loop().call_soon(self._forget_cursor)

    def _changed(self, buffer: Buffer) -> None:
        """Forget a suggestion from memory once the text leaves it: by the next time, it may be deleted."""
        before, known = buffer.document.text_before_cursor, self._known
        if known and known.passing and not known.is_on_its_way(before):
            self._known = None

    def _moved(self, buffer: Buffer) -> None:
        """Put the cursor where a key means it that takes a suggestion and stays before it."""
        (position, more), self._kept = self._kept, (-1, 0)
        if buffer.cursor_position == position:
            buffer.cursor_position += more

    def _forget_cursor(self) -> None:
        self._kept = (-1, 0)

    async def get_suggestion_async(self, buffer: Buffer, document: Document) -> Suggestion | None:
        """Complete at the cursor; typing along a suggestion asks nothing."""
        before, after = document.text_before_cursor, document.text_after_cursor
        self._before = before
        if not before.strip() or after.strip():
            self._stop()
            return super().get_suggestion(buffer, document)
        if (known := self._known) and (left := known.left_at(before)):
            self._outcomes.comes_back(known.name, known.start, known.rest, before)
            return left
        if not self._local.ready():
            return super().get_suggestion(buffer, document)
        reply = await self._ask(buffer)
        if buffer.document != document:
            return None  # prompt_toolkit asks anew, and that goes on with what is being written
        if not (reply.items and reply.items[0].text):
            return super().get_suggestion(buffer, document)
        item = reply.items[0]
        self._known = _Known(reply.id, before, item.text, item.imports, reply.passing)
        self._outcomes.shown(reply.id, before, item.text)
        return self._known.left_at(before)

    async def _ask(self, buffer: Buffer) -> Reply:
        """Wait for an answer, or for the next key: prompt_toolkit asks nothing while it waits."""
        document, replies = buffer.document, AsyncReplies()
        last = nothing = Reply("")
        request = request_at(
            self._shell, document.text, document.cursor_position, client=client_of(self._shell)
        )

        def changed(_: Buffer) -> None:
            replies.leave()

        buffer.on_text_changed += changed
        buffer.on_cursor_position_changed += changed
        try:
            pilot, facts = self._local.pilot, facts_of(self._shell)
            self._job = pilot.completer.submit(request, replies.listen, facts, memory=pilot.memory)
            async for last in replies:  # noqa: B007 - the one that counts
                pass
        except TurbopilotError:
            return nothing
        except asyncio.CancelledError:
            self._stop()
            raise
        finally:
            buffer.on_text_changed -= changed
            buffer.on_cursor_position_changed -= changed
        return last

    def _stop(self) -> None:
        """End what is being written: nobody goes on with it."""
        if self._job:
            self._job.cancel.set(DISCONNECTED)
            self._job = None


def turn_on(shell: TerminalInteractiveShell, local: InProcess) -> None:
    """Put our suggestions in the prompt."""
    local.begin()
    with suppress(FileNotFoundError):  # the current folder may be gone
        if (folder := Path.cwd()) != folder.parent:  # the whole disk is nobody's own code
            local.pilot.remember(LocalFiles(folder))
    completer = local.pilot.completer
    if not completer.study and (study := study_of(local.pilot.settings, "terminal")):
        completer.study = study
        study.begin()
    atexit.unregister(local.pilot.settle)
    atexit.register(local.pilot.settle)
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
