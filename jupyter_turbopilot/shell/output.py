"""Shows what a magic completes as it grows: lines in a terminal, one display in a notebook."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Return the text with what a terminal would obey made visible."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


class Output:
    """The result as it grows: lines in a terminal, one display that is updated in a notebook."""

    def __init__(self, terminal: bool, before: str, after: str) -> None:
        self._terminal = terminal
        self._before = before
        self._after = after
        self._printed = 0
        self._handle: Any = None

    def follow(self, texts: Iterator[str]) -> str:
        """Show a text as it grows, and return the whole."""
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
            # Whole lines, each coloured with what stands before it in view.
            lines = _highlight(whole, "terminal").split("\n")
            ready = len(lines) if final else len(lines) - 1
            for line in lines[self._printed : ready]:
                print(line, flush=True)  # noqa: T201
            self._printed = max(self._printed, ready)
            return
        from IPython.display import display

        data = {"text/plain": whole, "text/html": _highlight(whole, "html")}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def stop(self) -> None:
        """End the line that was being written."""
        if self._terminal:
            print()  # noqa: T201

    def alternatives(self, texts: list[str]) -> None:
        """Show each text with its number."""
        for number, text in enumerate(texts, 1):
            self._printed = 0
            self._handle = None
            print(f"{number}:")  # noqa: T201
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
