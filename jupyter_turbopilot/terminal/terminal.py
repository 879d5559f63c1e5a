"""Ghost text while typing in terminal IPython."""

from __future__ import annotations

import asyncio
import atexit
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from IPython.terminal.shortcuts.auto_suggest import NavigableAutoSuggestFromHistory
from prompt_toolkit.auto_suggest import Suggestion
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import emacs_insert_mode, has_focus, vi_insert_mode
from prompt_toolkit.formatted_text import to_formatted_text
from prompt_toolkit.formatted_text.utils import split_lines
from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings
from prompt_toolkit.layout.controls import BufferControl, UIContent
from prompt_toolkit.styles import DynamicStyle, Style, merge_styles

from jupyter_turbopilot.analysis.imports import bound_name, insertion, uses
from jupyter_turbopilot.completer.reply_iterators import AsyncReplies
from jupyter_turbopilot.engine.job import DISCONNECTED
from jupyter_turbopilot.index.local_files import LocalFiles
from jupyter_turbopilot.jupyter.runtime import path_in_server
from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.protocol.reply import Reply
from jupyter_turbopilot.terminal.history import client_of, failed_inputs, kernel_context_of, request_at
from jupyter_turbopilot.terminal.outcomes import Outcomes, inserted_since

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from IPython.terminal.interactiveshell import TerminalInteractiveShell
    from prompt_toolkit import PromptSession
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyPressEvent

    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.terminal.in_process import InProcess


ALTERNATIVES = 4  # suggestions requested by the key for another one
# Readable on black and on white (4.6 : 1); the suggestions from the history are grey.
_STYLE = Style([("auto-suggestion", "italic #0080a0")])


class ImportingSuggestion(Suggestion):
    """A suggestion with import lines, which are inserted above when it is accepted."""

    def __init__(self, text: str, imports: tuple[str, ...]) -> None:
        super().__init__(text)
        self.imports = imports


class _Candidate(NamedTuple):
    """The last suggestion: its id, the text before the cursor, its own text, and the imports it needs."""

    name: str
    start: str
    rest: str
    imports: tuple[str, ...]
    uncached: bool  # whether it must not be reused for another request

    def is_on_its_way(self, before: str) -> bool:
        """Return whether a text is on the way from `start` to the end of the suggestion."""
        return before.startswith(self.start) and (self.start + self.rest).startswith(before)

    def rest_at(self, before: str) -> ImportingSuggestion | None:
        """Return the rest of the suggestion after a text; None if the text differs from it."""
        left = (self.start + self.rest)[len(before) :] if self.is_on_its_way(before) else ""
        return ImportingSuggestion(left, self.imports) if left else None


def _found(reply: Reply, before: str) -> list[_Candidate]:
    return [
        _Candidate(reply.id, before, item.text, item.imports, reply.uncached)
        for item in {item.text: item for item in reply.items if item.text}.values()
    ]


def _control_of(pt_app: PromptSession[str]) -> BufferControl:
    controls = pt_app.layout.find_all_controls()
    return next(
        one for one in controls if isinstance(one, BufferControl) and one.buffer is pt_app.default_buffer
    )


def show_lines(control: BufferControl) -> None:
    """Display each line of a suggestion on its own row; prompt_toolkit displays a line break as ^J."""
    create = control.create_content

    def create_content(width: int, height: int, preview_search: bool = False) -> UIContent:
        content = create(width, height, preview_search)
        get_line, last = content.get_line, content.line_count - 1
        rows = [list(row) for row in split_lines(get_line(last))]  # the suggestion follows the last line
        content.get_line = lambda at: get_line(at) if at < last else rows[at - last]
        content.line_count = last + len(rows)
        return content

    control.create_content = create_content  # type: ignore[method-assign]


class TurbopilotSuggest(NavigableAutoSuggestFromHistory):
    """Suggests from the history if an entry matches exactly, otherwise from the model."""

    def __init__(self, shell: TerminalInteractiveShell, local: InProcess) -> None:
        super().__init__()
        self._shell = shell
        self._local = local
        self._known: _Candidate | None = None
        self._before = ""  # the text before the cursor at the last insertion or suggestion
        self._job: Job | None = None  # the last request
        self._choices: list[_Candidate] = []  # the suggestions that a key cycles through
        # The right prompt, style and key bindings of each prompt, restored when it is disconnected.
        self._configured: dict[PromptSession[str], tuple[Any, Any, Any]] = {}
        self._kept = (-1, 0)  # cursor position that a key may restore, and the offset to add to it
        self._outcomes = Outcomes(local.pilot.completer.feedback)

    async def _trigger_llm(self, buffer: Buffer) -> None:
        """Disable IPython's own hook for jupyter_ai."""

    async def _trigger_llm_core(self, buffer: Buffer) -> None:
        """Disable IPython's own hook for jupyter_ai."""

    def connect(self, pt_app: PromptSession[str]) -> None:
        """Connect to a prompt: events, keys, style and the note at the right."""
        super().connect(pt_app)
        if not self._configured:
            self._shell.events.register("pre_run_cell", self._outcomes.entered)
        buffer = pt_app.default_buffer
        buffer.on_text_insert += self.inserted
        buffer.on_cursor_position_changed += self._moved
        buffer.on_text_changed += self._changed
        pt_app.app.key_processor.after_key_press += self._key_pressed
        pt_app.app.on_reset += self._begin
        show_lines(_control_of(pt_app))
        rprompt, style, key_bindings = before = pt_app.rprompt, pt_app.style, pt_app.key_bindings
        self._configured[pt_app] = before
        pt_app.rprompt = lambda: self._note(buffer) or to_formatted_text(rprompt)
        pt_app.style = merge_styles(
            [
                DynamicStyle(lambda: style),
                DynamicStyle(lambda: _STYLE if isinstance(buffer.suggestion, ImportingSuggestion) else None),
            ]
        )
        # Later bindings take precedence: those that the user has configured.
        pt_app.key_bindings = merge_key_bindings([self._keys(), key_bindings or KeyBindings()])

    def disconnect(self) -> None:
        if self._configured:
            self._shell.events.unregister("pre_run_cell", self._outcomes.entered)
        for pt_app in self._connected_apps:
            buffer = pt_app.default_buffer
            buffer.on_text_insert -= self.inserted
            buffer.on_cursor_position_changed -= self._moved
            buffer.on_text_changed -= self._changed
            pt_app.app.key_processor.after_key_press -= self._key_pressed
            pt_app.app.on_reset -= self._begin
            del _control_of(pt_app).create_content  # restores the method of the class
            pt_app.rprompt, pt_app.style, pt_app.key_bindings = self._configured.pop(pt_app)
        super().disconnect()

    def _keys(self) -> KeyBindings:
        """Return the keys that request suggestions: F3 and F4, in Emacs mode also Alt with a letter."""
        keys = KeyBindings()
        focused = has_focus(DEFAULT_BUFFER)
        in_emacs, in_any = focused & emacs_insert_mode, focused & (emacs_insert_mode | vi_insert_mode)

        def bind(key: str, letter: str, command: Callable[[Buffer], Awaitable[bool]]) -> None:
            # In vi mode, Escape and a letter are a command.
            @keys.add("escape", letter, filter=in_emacs)
            @keys.add(key, filter=in_any)
            async def run(event: KeyPressEvent) -> None:
                if not await command(event.current_buffer):
                    event.app.output.bell()

        bind("f3", "s", self.request)
        bind("f4", "n", self.request_next)
        return keys

    def _key_pressed(self, _: object) -> None:
        for pt_app in self._connected_apps:
            self._outcomes.key_pressed(pt_app.default_buffer)

    def _begin(self, _: object) -> None:
        """Reset at the start of another input."""
        self._known, self._before, self._choices = None, "", []
        self._outcomes.begun()

    def _note(self, buffer: Buffer) -> StyleAndTextTuples:
        """Describe the suggestion: its number among several, and the imports that it adds."""
        if not isinstance(buffer.suggestion, ImportingSuggestion):
            return []
        notes, imports = [], buffer.suggestion.imports
        if len(self._choices) > 1 and self._known in self._choices:
            notes.append(f"{self._choices.index(self._known) + 1} of {len(self._choices)}")
        if imports:
            notes.append(f"adds {'; '.join(imports)}")
        return [("class:auto-suggestion", ", ".join(notes))] if notes else []

    def inserted(self, buffer: Buffer) -> None:
        """Insert the imports that the accepted part of a suggestion needs above it."""
        self._outcomes.inserted(buffer)
        begun, before = self._before, buffer.document.text_before_cursor
        self._before = before
        known = self._known
        is_taken = inserted_since(begun, before)
        if not (known and known.imports and is_taken and (known.start + known.rest).startswith(before)):
            return
        start = known.start.rfind("\n") + 1  # of the line, part of which may have been typed
        used = {use.name for use in uses(before[start:])}
        needed = tuple(line for line in known.imports if bound_name(line) in used)
        above = insertion(buffer.text, needed)
        if not needed or above.at > start:
            return
        further = tuple(line for line in known.imports if line not in needed)
        self._known = known._replace(start=above.into(known.start), imports=further)
        self._before = above.into(before)
        self._outcomes.imports_inserted(above)
        # In the same command as the acceptance: one step to undo.
        buffer.document = Document(above.into(buffer.text), len(self._before))
        self._kept = len(begun), len(above.text)
        asyncio.get_running_loop().call_soon(lambda: setattr(self, "_kept", (-1, 0)))

    def _changed(self, buffer: Buffer) -> None:
        """Drop an index match once the text differs from it: its document may be deleted meanwhile."""
        before, known = buffer.document.text_before_cursor, self._known
        if known and known.uncached and not known.is_on_its_way(before):
            self._known = None

    def _moved(self, buffer: Buffer) -> None:
        """Restore the cursor for a key that accepts a suggestion and stays before it."""
        (position, more), self._kept = self._kept, (-1, 0)
        if buffer.cursor_position == position:
            buffer.cursor_position += more

    async def get_suggestion_async(self, buffer: Buffer, document: Document) -> Suggestion | None:
        """Complete at the cursor; typing along a suggestion sends no request."""
        before, after = document.text_before_cursor, document.text_after_cursor
        self._before = before
        if not before.strip() or after.strip():
            self._stop()
            return super().get_suggestion(buffer, document)
        if (known := self._known) and (left := known.rest_at(before)):
            self._outcomes.reappeared(known.name, known.start, known.rest, before)
            return left
        if not self._local.ready():
            return super().get_suggestion(buffer, document)
        reply = await self._ask(buffer)
        if buffer.document != document:
            return None  # prompt_toolkit asks again; that request continues the running generation
        if not (reply.items and reply.items[0].text):
            return super().get_suggestion(buffer, document)
        self._choices = []
        return self._chosen(_found(reply, before)[0])

    async def request(self, buffer: Buffer) -> bool:
        """Show the model's suggestion regardless of its score; return whether there is one."""
        if left := self._left(buffer):
            self._show(buffer, left)
            return True
        self._choices = await self._request(buffer, 1)
        if self._choices:
            self._show(buffer, self._chosen(self._choices[0]))
        return bool(self._choices)

    async def request_next(self, buffer: Buffer) -> bool:
        """Show the next of several suggestions at the cursor; return whether there is another."""
        before = buffer.document.text_before_cursor
        shown = self._left(buffer) if buffer.suggestion else None
        if shown and self._known:
            self._known = self._known._replace(start=before, rest=shown.text)
        if len(self._choices) < 2 or self._choices[0].start != before:  # noqa: PLR2004
            found = await self._request(buffer, ALTERNATIVES)
            first = [self._known] if found and shown and self._known else []
            self._choices = first + [one for one in found if not (shown and shown.text.startswith(one.rest))]
        at = self._choices.index(self._known) + 1 if shown and self._known in self._choices else 0
        if at and len(self._choices) < 2:  # noqa: PLR2004
            return False
        if self._choices:
            self._show(buffer, self._chosen(self._choices[at % len(self._choices)]))
        return bool(self._choices)

    def _left(self, buffer: Buffer) -> ImportingSuggestion | None:
        before, after = buffer.document.text_before_cursor, buffer.document.text_after_cursor
        return self._known.rest_at(before) if self._known and not after.strip() else None

    def _chosen(self, known: _Candidate) -> ImportingSuggestion | None:
        """Make a suggestion the current one and return it."""
        self._known, self._before = known, known.start
        self._outcomes.shown(known.name, known.start, known.rest)
        return known.rest_at(known.start)

    def _show(self, buffer: Buffer, suggestion: Suggestion | None) -> None:
        buffer.suggestion = suggestion
        buffer.on_suggestion_set.fire()

    async def _request(self, buffer: Buffer, n: int) -> list[_Candidate]:
        """Return the model's suggestions at the cursor, or none if the cursor has moved."""
        document = buffer.document
        if document.text_after_cursor.strip() or not self._local.ready():
            return []
        reply = await self._ask(buffer, "invoke", n)
        return _found(reply, document.text_before_cursor) if buffer.document == document else []

    async def _ask(
        self, buffer: Buffer, trigger: Literal["automatic", "invoke"] = "automatic", n: int = 1
    ) -> Reply:
        """Wait for an answer or the next keystroke: prompt_toolkit sends no other request meanwhile."""
        document, replies = buffer.document, AsyncReplies()
        last = nothing = Reply("")
        request = request_at(
            self._shell,
            document.text,
            document.cursor_position,
            trigger=trigger,
            client=client_of(self._shell),
            n=n,
        )

        def changed(_: Buffer) -> None:
            replies.leave()

        buffer.on_text_changed += changed
        buffer.on_cursor_position_changed += changed
        try:
            self._local.check()
            pilot, kernel_context = self._local.pilot, kernel_context_of(self._shell)
            self._job = pilot.completer.submit(request, replies.listen, self._local.admission(kernel_context))
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

    def _find_match(
        self, text: str, skip_lines: float, history: History, previous: bool
    ) -> Generator[tuple[str, float]]:
        """Exclude failed inputs from the history that IPython suggests from."""
        failed = failed_inputs(self._shell)
        inputs = [source for source in history.get_strings() if source.strip() not in failed]
        succeeded: Any = SimpleNamespace(get_strings=lambda: inputs)
        return super()._find_match(text, skip_lines, succeeded, previous)

    def _stop(self) -> None:
        if self._job:
            self._job.cancel.set(DISCONNECTED)
            self._job = None


def turn_on(shell: TerminalInteractiveShell, local: InProcess) -> None:
    """Use Turbopilot's suggestions in the prompt."""
    local.begin()
    with suppress(FileNotFoundError):  # the current folder may have been deleted
        if (folder := Path.cwd()) != folder.parent:  # never index a whole disk
            local.pilot.remember(LocalFiles(folder), path_in_server(folder))
    local.pilot.completer.listeners.load(local.pilot.settings, "terminal")
    atexit.unregister(local.pilot.settle)
    atexit.register(local.pilot.settle)
    if isinstance(shell.auto_suggest, NavigableAutoSuggestFromHistory):
        shell.auto_suggest.disconnect()
    shell.auto_suggest = TurbopilotSuggest(shell, local)
    if shell.pt_app:
        shell.pt_app.auto_suggest = shell.auto_suggest
        shell.auto_suggest.connect(shell.pt_app)


def turn_off(shell: TerminalInteractiveShell) -> None:
    """Restore the suggestions that the prompt is configured for."""
    shell._set_autosuggestions()  # noqa: SLF001 - IPython has no public method
    if isinstance(shell.auto_suggest, NavigableAutoSuggestFromHistory) and shell.pt_app:
        shell.auto_suggest.connect(shell.pt_app)


def is_on(shell: Any) -> bool:
    return isinstance(getattr(shell, "auto_suggest", None), TurbopilotSuggest)
