"""Shows a generation in a terminal or a notebook, and returns the finished functions."""

from __future__ import annotations

import html
import sys
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.plugins.functions.function_generator import combine
from jupyter_turbopilot.plugins.functions.stub import parse_instruction
from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.terminal import output
from jupyter_turbopilot.terminal.output import printable
from jupyter_turbopilot.util.files import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_turbopilot.plugins.functions.request import Event, FunctionRequest

_MARKS = {"found": "○", "writing": "◐", "finished": "●", "given_up": "✗"}
# Aligned with the text of the cell; the notebook's own margins leave little room in a narrow window.
_TREE = '<pre style="margin: 0; padding: 0 8px">{}</pre>'


class TreeOutput:
    """The functions so far, callees below their caller.

    A terminal prints a line when a function is found and when it has ended. A notebook shows one display with
    all functions.
    """

    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal
        self._handle: Any = None
        # A path consists of numbers: that of the caller, and one for the function.
        self._paths: dict[str, tuple[int, ...]] = {}
        self._lines: dict[tuple[int, ...], str] = {}
        self._heads: dict[str, str] = {}  # by name
        self.functions: dict[str, str] = {}  # the generated ones, in order
        self.done: Event | None = None

    def show(self, event: Event) -> None:
        if event.event == "done":
            self.done = event
            return
        line = self._apply(event)
        if self._terminal:
            if event.event != "writing":
                print(printable(line), file=sys.stderr, flush=True)
        else:
            text = printable("\n".join(line for _, line in sorted(self._lines.items())))
            self._handle = output.show(text, _TREE.format(html.escape(text)), self._handle)

    def _apply(self, event: Event) -> str:
        """Apply an event to a function; return its line."""
        name, kind = event.name, event.event
        path = self._paths.setdefault(name, (*self._paths.get(event.caller, ()), len(self._paths)))
        if kind == "found":
            self._heads[name] = event.source
        elif kind != "writing" and event.source:
            self.functions[name] = event.source
        lines = count_of(event.source.strip().count("\n") + 1, "line")
        begun = f"{lines}…" if event.source else "…"
        note = {"writing": begun, "finished": lines, "given_up": event.message}.get(kind, "")
        head = self._heads.get(name, name)
        line = f"{'  ' * (len(path) - 1)}{_MARKS[kind]} {head}{'  ' * bool(note)}{note}"
        self._lines[path] = line
        return line


def write(
    request: FunctionRequest, events: Iterable[Event], shown: TreeOutput
) -> tuple[str, KeyboardInterrupt | TurbopilotError | None]:
    """Generate functions; return their source, and the error that ended the generation early.

    Neither Ctrl C nor an error discards finished functions.
    """
    ended: KeyboardInterrupt | TurbopilotError = TurbopilotError("The answer ended too early.")
    try:
        for event in events:
            shown.show(event)
    except (KeyboardInterrupt, TurbopilotError) as error:
        ended = error
    if shown.done:
        return shown.done.source, None
    if shown.functions:
        above = parse_instruction(request.source).above
        return combine(above, shown.functions, request.names)[0], ended
    if isinstance(ended, TurbopilotError):
        raise ended
    return "", ended
