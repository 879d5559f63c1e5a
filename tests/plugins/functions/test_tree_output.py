from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest
from IPython.utils.capture import capture_output

from jupyter_turbopilot.plugins.functions.event import Event
from jupyter_turbopilot.plugins.functions.tree_output import TreeOutput

from .play import bodies, play


class Terminal(io.StringIO):
    """A terminal with a given width."""

    def isatty(self) -> bool:
        return True

    def rows(self) -> list[str]:
        """Return the visible text: a carriage return moves to the beginning of a row."""
        rows = []
        for line in self.getvalue().split("\n"):
            seen: list[str] = []
            for text in line.split("\r"):
                seen[: len(text)] = text
            rows.append("".join(seen).rstrip())
        return rows


@pytest.fixture
def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    def open_one() -> Terminal:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("COLUMNS", "30")
        return terminal

    return open_one  # pytest sets its own between a fixture and the test


def test_tree_output_without_a_terminal_prints_a_line_per_function() -> None:
    with capture_output() as captured:
        output = TreeOutput(terminal=True)
        output.show(Event(event="found", name="f", source="f(x='\x1b[31m')"))
        output.show(Event(event="writing", name="f", source="def f(x):\n    y"))
        output.show(Event(event="finished", name="f", source="def f(x):\n    y"))
        output.say("Done\x1b[31m.")
    assert captured.stderr.count("\n") == 2
    assert "\x1b" not in captured.stderr


def test_tree_output_keeps_a_temporary_line_in_a_terminal(
    open_terminal: Callable[[], Terminal],
) -> None:
    terminal, output = open_terminal(), TreeOutput(terminal=True)
    seen = []
    for event in play("def f(x):", bodies(f="return g(x)")):
        output.show(event)
        seen.append(terminal.rows())
    assert seen[1] == ["◐ f(x)  …"]
    assert seen[-1] == ["● f(x)  2 lines", "  ● g(x)  3 lines", ""]


def test_tree_output_keeps_the_temporary_line_in_one_row(
    open_terminal: Callable[[], Terminal],
) -> None:
    terminal, output = open_terminal(), TreeOutput(terminal=True)
    output.show(Event(event="found", name="f", source=f"f({'x' * 100})"))
    assert len(terminal.rows()[-1]) == 29
    output.say("The message is wrapped between words.")
    assert terminal.rows() == ["The message is wrapped", "between words.", ""]
    output.show(Event(event="writing", name="f"))
    output.end()
    output.end()
    assert terminal.rows()[-1] == ""


def test_tree_output_updates_one_display_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    displayed: list[str] = []
    updated: list[str] = []

    class Handle:
        def update(self, data: dict[str, str], *, raw: bool) -> None:
            updated.append(data["text/plain"])

    def display(data: dict[str, str], *, raw: bool, display_id: bool = False) -> Handle:
        displayed.append(data["text/html"])
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    output = TreeOutput(terminal=False)
    for event in play("def f(x='<b>'):", bodies(f="return g(x) < 1")):
        output.show(event)
    assert len(displayed) == 1
    assert ">○ f(x=&#x27;&lt;b&gt;&#x27;)</pre>" in displayed[0]
    assert updated[0] == "◐ f(x='<b>')  …"
    assert updated[-1] == "● f(x='<b>')  2 lines\n  ● g(x)  3 lines"
