from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.shell.output import Output, printable

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_printed_and_everything_else_is(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    for sent, printed in zip(text, shown, strict=True):
        obeyed = sent not in "\t\n" and (ord(sent) < 32 or 127 <= ord(sent) < 160)
        assert printed == ("\N{REPLACEMENT CHARACTER}" if obeyed else sent)


def test_a_terminal_gets_each_line_once_as_soon_as_it_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    printed = []

    def growing() -> Any:
        for text in ("a\n", "a\nb", "a\nb\nc"):
            yield text
            printed.append(COLOUR.sub("", capsys.readouterr().out))

    assert Output(True, "x = ", "\nend").follow(growing()) == "a\nb\nc"
    assert printed == ["x = a\n", "", "b\n"]
    assert COLOUR.sub("", capsys.readouterr().out) == "c\nend\n"


def test_where_nothing_is_written_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert Output(True, "x = ", "").follow(iter(["", ""])) == ""
    assert capsys.readouterr().out == ""


def test_a_notebook_gets_one_display_that_is_updated(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, data: dict[str, str], *, raw: bool) -> None:
            shown.append("updated: " + data["text/plain"])

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        shown.append("displayed: " + data["text/plain"])
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    Output(False, "x = ", " # end").follow(iter(["1", "1 + 2"]))
    assert shown == ["displayed: x = 1", "updated: x = 1 + 2", "updated: x = 1 + 2 # end"]


def test_alternatives_are_numbered(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(True, "x = ", "")
    output.alternatives(["1", "2"])
    assert COLOUR.sub("", capsys.readouterr().out) == "1:\nx = 1\n2:\nx = 2\n"


@pytest.mark.parametrize(("terminal", "printed"), [(True, "\n"), (False, "")])
def test_an_interrupted_line_ends_in_a_terminal(
    capsys: pytest.CaptureFixture[str], terminal: bool, printed: str
) -> None:
    Output(terminal, "", "").stop()
    assert capsys.readouterr().out == printed
