"""Shows a generation in a terminal or a notebook, and returns the finished functions."""

from __future__ import annotations

import html
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.context.kernel_context import NONE
from jupyter_turbopilot.plugins.functions.existing import existing_names_for
from jupyter_turbopilot.plugins.functions.result import Result, combine
from jupyter_turbopilot.plugins.functions.stub import parse_instruction
from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.terminal import output
from jupyter_turbopilot.terminal.output import printable, width
from jupyter_turbopilot.util.files import count_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_turbopilot.plugins.functions.request import Event, FunctionRequest

    Ask = Callable[[FunctionRequest], Iterator[Event]]

_MARKS = {"found": "○", "writing": "◐", "finished": "●", "reused": "↩", "given_up": "✗"}
# Aligned with the text of the cell; the notebook's own margins leave little room in a narrow window.
_TREE = '<pre style="margin: 0; padding: 0 8px">{}</pre>'
UNFINISHED = "The answer ended too early."


class TreeOutput:
    """The functions so far, callees below their caller.

    In a terminal, a line is printed when it is final, and the last one is temporary. A notebook shows one
    display with all of them.
    """

    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal
        self._handle: Any = None
        self._begun = False  # whether a temporary line is shown
        # A path consists of numbers: that of the caller, and one for the function.
        self._paths: dict[str, tuple[int, ...]] = {}
        self._lines: dict[tuple[int, ...], str] = {}
        self._heads: dict[str, str] = {}  # by name
        self._former: dict[str, str] = {}  # names in the calls before they were renamed
        self.functions: dict[str, str] = {}  # the generated ones, in order
        self.done: Event | None = None

    def show(self, event: Event) -> None:
        if event.event == "done":
            self.done = event
        elif event.event == "renamed":
            self._former[event.name] = event.former
        else:
            line = self._apply(event)
            if self._terminal:
                self._print(line, ended=event.event not in {"found", "writing"})
            else:
                text = printable("\n".join(line for _, line in sorted(self._lines.items())))
                self._handle = output.show(text, _TREE.format(html.escape(text)), self._handle)

    def say(self, words: str) -> None:
        """Show a message that is not an error."""
        if self._terminal:
            self.end()
        output.say(words, terminal=self._terminal)

    def end(self) -> None:
        """Remove the temporary line."""
        if self._begun:
            print(f"\r{' ' * width()}\r", end="", file=sys.stderr, flush=True)
        self._begun = False

    def _apply(self, event: Event) -> str:
        """Apply an event to a function, or to a call of an existing one; return its line."""
        name, kind = event.name, event.event
        path = (*self._paths.get(event.caller, ()), len(self._lines))
        if kind != "reused":
            path = self._paths.setdefault(name, path)
        if kind == "found":
            self._heads[name] = event.source
        elif kind in {"finished", "given_up"} and event.source:
            self.functions[name] = event.source
        lines = count_of(event.source.strip().count("\n") + 1, "line")
        begun = f"{lines}…" if event.source else "…"
        notes = {"writing": begun, "finished": lines, "reused": "exists", "given_up": event.message}
        former = f"called {self._former[name]} at first" if name in self._former and kind != "reused" else ""
        note = ", ".join(filter(None, (notes.get(kind, ""), former)))
        head = name if kind == "reused" else self._heads.get(name, name)
        line = f"{'  ' * (len(path) - 1)}{_MARKS[kind]} {head}{'  ' * bool(note)}{note}"
        self._lines[path] = line
        return line

    def _print(self, line: str, *, ended: bool) -> None:
        """Print a line; one that is not ended is replaced by the next, if the output is a terminal."""
        self.end()
        line = printable(line)
        if ended:
            print(line, file=sys.stderr, flush=True)
        elif sys.stderr.isatty():
            # A line that wraps could not be removed.
            print(line[: width()], end="", file=sys.stderr, flush=True)
            self._begun = True


@dataclass(frozen=True)
class Functions:
    """The generated functions, and how the generation ended."""

    source: str = ""
    undefined: tuple[str, ...] = ()
    stopped: bool = False  # whether the user interrupted it
    broken: str = ""  # the error that ended it early


def write(request: FunctionRequest, ask: Ask, shown: TreeOutput) -> Functions:
    """Generate functions. Neither Ctrl C nor an error discards finished functions."""
    try:
        for event in ask(request):
            shown.show(event)
    except KeyboardInterrupt:
        return replace(_functions(request, shown), stopped=True)
    except TurbopilotError as error:
        found = _functions(request, shown)
        if not found.source:
            raise
        return replace(found, broken=printable(error.message))
    finally:
        shown.end()
    found = _functions(request, shown)
    return found if shown.done else replace(found, broken=UNFINISHED)


def _functions(request: FunctionRequest, shown: TreeOutput) -> Functions:
    """Return the generated functions, complete or up to an interruption."""
    if shown.done:
        return Functions(shown.done.source, shown.done.undefined)
    above, functions = parse_instruction(request.source).above, shown.functions
    existing = existing_names_for(request, NONE, above)
    known = existing.names - functions.keys()
    result = combine(above, functions, known, open_=existing.open) if functions else Result("")
    return Functions(result.source, result.undefined)
