"""Output of the magics in a terminal or a notebook: growing completions, and functions as a tree."""

from __future__ import annotations

import html
import os
import re
import shutil
import sys
from textwrap import fill
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.plugins.functions.event import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.plugins.functions.event import Event

# Aligned with the text of the cell; the notebook's own margins leave little room in a narrow window.
_TREE = '<pre style="margin: 0; padding: 0 8px">{}</pre>'
_WORDS = '<div style="margin: 0; padding: 0 8px; font-size: 90%; opacity: 0.75">{}</div>'
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Return the text with control characters replaced."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


class Output:
    """A growing completion: lines in a terminal, one updated display in a notebook."""

    def __init__(self, terminal: bool, before: str, after: str) -> None:
        self._terminal = terminal
        self._before = before
        self._after = after
        self._printed = 0
        self._handle: Any = None

    def follow(self, texts: Iterator[str]) -> str:
        """Show a text while it grows; return the complete text."""
        last = ""
        for text in texts:
            last = text or last
            if last:
                self._update(last, final=False)
        if last:
            self._update(last, final=True)
        return last

    def _update(self, text: str, *, final: bool) -> None:
        whole = printable(self._before + text + (self._after if final else ""))
        if self._terminal:
            # Complete lines only, each highlighted in the context of the whole text.
            lines = _highlight(whole, "terminal").split("\n")
            ready = len(lines) if final else len(lines) - 1
            for line in lines[self._printed : ready]:
                print(line, flush=True)
            self._printed = max(self._printed, ready)
            return
        from IPython.display import display

        data = {"text/plain": whole, "text/html": _highlight(whole, "html")}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def stop(self) -> None:
        """End the unfinished line."""
        if self._terminal:
            print()

    def alternatives(self, texts: list[str]) -> None:
        """Show each text with its number."""
        for number, text in enumerate(texts, 1):
            self._printed = 0
            self._handle = None
            print(f"{number}:")
            self._update(text, final=True)


def _highlight(code: str, form: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter, TerminalFormatter
    from pygments.lexers import PythonLexer

    lexer = PythonLexer(stripnl=False, ensurenl=False)
    formatter = (
        TerminalFormatter() if form == "terminal" else HtmlFormatter(noclasses=True, nobackground=True)
    )
    highlighted: str = highlight(code, lexer, formatter)
    return highlighted


class TreeOutput:
    """Function trees: lines in a terminal, the last one temporary; one display per tree in a notebook."""

    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal
        self._handle: Any = None
        self._begun = False  # whether a temporary line is shown
        self.tree = Tree()

    def begin(self) -> None:
        """Start another tree."""
        self.tree, self._handle = Tree(), None

    def show(self, event: Event) -> None:
        """Show an event."""
        node = self.tree.add(event)
        if node and self._terminal:
            self._print(node.line(), ended=event.event not in {"found", "writing"})
        elif node:
            self._display("\n".join(self.tree.lines()))

    def say(self, words: str) -> None:
        """Show a message that is not an error."""
        words = printable(words)
        if self._terminal:
            self.end()
            print(fill(words, _room()) if sys.stderr.isatty() else words, file=sys.stderr, flush=True)
            return
        from IPython.display import display

        display({"text/plain": words, "text/html": _WORDS.format(html.escape(words))}, raw=True)

    def end(self) -> None:
        """Remove the temporary line."""
        if self._begun:
            print(f"\r{' ' * _room()}\r", end="", file=sys.stderr, flush=True)
        self._begun = False

    def _print(self, line: str, *, ended: bool) -> None:
        """Print a line; one that is not ended is replaced by the next, if the output is a terminal."""
        self.end()
        line = printable(line)
        if ended:
            print(line, file=sys.stderr, flush=True)
        elif sys.stderr.isatty():
            # A line that wraps could not be removed.
            print(line[: _room()], end="", file=sys.stderr, flush=True)
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
    """Return the width of the terminal, less one column, as a full line may wrap."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns  # standard output may be a file
    except (AttributeError, OSError, ValueError):
        columns = shutil.get_terminal_size().columns
    return max(1, columns - 1)
