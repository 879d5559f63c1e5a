"""Shows the functions of a generation as a tree, in a terminal or a notebook."""

from __future__ import annotations

import html
import sys
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.plugins.functions.event import FunctionTree
from jupyter_turbopilot.terminal import output
from jupyter_turbopilot.terminal.output import printable, width

if TYPE_CHECKING:
    from jupyter_turbopilot.plugins.functions.event import Event

# Aligned with the text of the cell; the notebook's own margins leave little room in a narrow window.
_TREE = '<pre style="margin: 0; padding: 0 8px">{}</pre>'


class TreeOutput:
    """A function tree: lines in a terminal, the last one temporary; one display in a notebook."""

    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal
        self._handle: Any = None
        self._begun = False  # whether a temporary line is shown
        self.tree = FunctionTree()

    def show(self, event: Event) -> None:
        node = self.tree.add(event)
        if node and self._terminal:
            self._print(node.line(), ended=event.event not in {"found", "writing"})
        elif node:
            self._display("\n".join(self.tree.lines()))

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

    def _display(self, text: str) -> None:
        text = printable(text)
        self._handle = output.show(text, _TREE.format(html.escape(text)), self._handle)
