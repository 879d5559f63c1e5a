from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.utils.capture import capture_output

from jupyter_turbopilot.plugins.functions.event import Event
from jupyter_turbopilot.terminal.output import Output, TreeOutput, printable

from ..plugins.functions.play import bodies, play

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@given(st.text())
def test_printable_replaces_only_control_characters(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    for sent, printed in zip(text, shown, strict=True):
        obeyed = sent not in "\t\n" and (ord(sent) < 32 or 127 <= ord(sent) < 160)
        assert printed == ("\N{REPLACEMENT CHARACTER}" if obeyed else sent)


def test_output_prints_each_complete_line_once_in_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    printed = []

    def growing() -> Any:
        for text in ("a\n", "a\nb", "a\nb\nc"):
            yield text
            printed.append(COLOUR.sub("", capsys.readouterr().out))

    assert Output(True, "x = ", "\nend").follow(growing()) == "a\nb\nc"
    assert printed == ["x = a\n", "", "b\n"]
    assert COLOUR.sub("", capsys.readouterr().out) == "c\nend\n"


def test_output_shows_nothing_without_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert Output(True, "x = ", "").follow(iter(["", ""])) == ""
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("terminal", "printed"), [(True, "\n"), (False, "")])
def test_stop_ends_the_line_in_a_terminal(
    capsys: pytest.CaptureFixture[str], terminal: bool, printed: str
) -> None:
    Output(terminal, "", "").stop()
    assert capsys.readouterr().out == printed


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


def test_say_writes_no_error_output_in_a_notebook(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    displayed: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: displayed.append(data))
    TreeOutput(terminal=False).say("1 < 2")
    assert capsys.readouterr() == ("", "")
    assert displayed[0]["text/plain"] == "1 < 2"
    assert "1 &lt; 2" in displayed[0]["text/html"]
