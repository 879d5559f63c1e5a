"""Shows how functions are written, as a tree that grows, and what else there is to say."""

from __future__ import annotations

import html
import os
import shutil
import sys
from textwrap import fill
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.hierarchy.tree import Tree
from jupyter_turbopilot.shell.output import printable

if TYPE_CHECKING:
    from jupyter_turbopilot.hierarchy.event import Event

# Below the text of the cell; the notebook's own margins leave little room in a narrow window.
_TREE = '<pre style="margin: 0; padding: 0 8px">{}</pre>'
_WORDS = '<div style="margin: 0; padding: 0 8px; font-size: 90%; opacity: 0.75">{}</div>'


class TreeOutput:
    """Lines in a terminal, of which the last one lives; displays in a notebook, one for each tree."""

    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal
        self._handle: Any = None
        self._begun = False  # whether there is a line that is not ended yet
        self.tree = Tree()

    def begin(self) -> None:
        """Begin another tree."""
        self.tree, self._handle = Tree(), None

    def show(self, event: Event) -> None:
        """Show what happened."""
        node = self.tree.add(event)
        if node and self._terminal:
            self._print(node.words(), ended=event.event not in {"found", "writing"})
        elif node:
            self._display("\n".join(self.tree.lines()))

    def say(self, words: str) -> None:
        """Say what is no error."""
        words = printable(words)
        if self._terminal:
            self.end()
            print(fill(words, _room()) if sys.stderr.isatty() else words, file=sys.stderr, flush=True)  # noqa: T201
            return
        from IPython.display import display

        display({"text/plain": words, "text/html": _WORDS.format(html.escape(words))}, raw=True)

    def end(self) -> None:
        """Take away the line that is not ended."""
        if self._begun:
            print(f"\r{' ' * _room()}\r", end="", file=sys.stderr, flush=True)  # noqa: T201
        self._begun = False

    def _print(self, line: str, *, ended: bool) -> None:
        """Print a line; one that is not ended gives way to the next, where that can be seen."""
        self.end()
        line = printable(line)
        if ended:
            print(line, file=sys.stderr, flush=True)  # noqa: T201
        elif sys.stderr.isatty():
            # What went on in another row could not be taken away.
            print(line[: _room()], end="", file=sys.stderr, flush=True)  # noqa: T201
            self._begun = True

    def _display(self, text: str) -> None:
        from IPython.display import display

        text = printable(text)
        data = {"text/plain": text, "text/html": _TREE.format(html.escape(text))}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


def _room() -> int:
    """Return how many characters a row of the terminal has, but for the last, behind which it may wrap."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns  # standard output may be a file
    except (AttributeError, OSError, ValueError):
        columns = shutil.get_terminal_size().columns
    return max(1, columns - 1)
