"""Output of the magics in a terminal or a notebook: growing completions, messages, and the status."""

from __future__ import annotations

import html
import os
import re
import shutil
import sys
from textwrap import fill
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# Aligned with the text of the cell; the notebook's own margins leave little room in a narrow window.
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
        self._handle = show(whole, _highlight(whole, "html"), self._handle)

    def stop(self) -> None:
        if self._terminal:
            print()

    def alternatives(self, texts: list[str]) -> None:
        for number, text in enumerate(texts, 1):
            self._printed = 0
            self._handle = None
            print(f"{number}:")
            self._update(text, final=True)


def show(text: str, markup: str, handle: Any = None) -> Any:
    """Show a text in a notebook, or update the display with this handle; return its handle."""
    from IPython.display import display

    data = {"text/plain": text, "text/html": markup}
    if handle is None:
        return display(data, raw=True, display_id=True)
    handle.update(data, raw=True)
    return handle


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


def say(words: str, *, terminal: bool) -> None:
    words = printable(words)
    if terminal:
        print(fill(words, width()) if sys.stderr.isatty() else words, file=sys.stderr, flush=True)
        return
    show(words, _WORDS.format(html.escape(words)))


def width() -> int:
    """Return the width of the terminal, less one column, as a full line may wrap."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns  # standard output may be a file
    except (AttributeError, OSError, ValueError):
        columns = shutil.get_terminal_size().columns
    return max(1, columns - 1)


_BUILDING = {
    None: "being built",
    "kernel": "paused while a kernel is busy",
    "battery": "paused on battery",
}


def model_status(health: dict[str, Any], where: str) -> str:
    """Describe the state of the model, and the accepted suggestions of this week."""
    if health["ready"]:
        speed = f", last suggestion in {health['last_ms']:.0f} ms" if health["last_ms"] else ""
        state = f"{health['model']} is ready {where}{speed}."
    else:
        reason = health["reason"] or "The model is not loaded yet."
        state = f"{health['model']} is not available {where}. {reason}"
    week = health.get("week") or {}
    if week.get("shown"):
        state += f" {week['accepted']} of {week['shown']} suggestions accepted this week"
        state += f", {week.get('saved', 0)} keystrokes saved."
    if (retained := week.get("retained")) is not None:
        state += (
            f" Of the accepted characters, {100 * retained:.0f} % were still there when they were run next."
        )
    return state


def index_status(notebook_index: dict[str, Any] | None) -> str:
    """Describe the state of the index of the user's code."""
    if not notebook_index:
        return ""
    if notebook_index["error"]:
        return f"Index of your code: none ({notebook_index['error']})"
    building = f", {_BUILDING[notebook_index['paused']]}" if notebook_index["building"] else ""
    counted = f"{notebook_index['files']} of {notebook_index['found']} files"
    return f"Index of your code: {counted} in {notebook_index['root']}{building}"


def usage_log_status(usage_log: dict[str, Any] | None) -> str:
    """Return whether the usage log is on, what it contains, and why it cannot be written."""
    if not usage_log:
        return ""
    content = "numbers and the text of suggestions" if usage_log["text"] else "numbers, no text"
    file = f", in {usage_log['file']}" if usage_log["file"] else ""
    error = f"; it cannot be written: {usage_log['error']}" if usage_log["error"] else ""
    return f"Usage log: on ({content}{file}){error}"
