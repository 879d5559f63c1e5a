import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.terminal.output import (
    Output,
    index_status,
    model_status,
    printable,
    say,
    usage_log_status,
)

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


@pytest.mark.parametrize(("terminal", "printed"), [(True, "\n"), (False, "")])
def test_stop_ends_the_line_in_a_terminal(
    capsys: pytest.CaptureFixture[str], terminal: bool, printed: str
) -> None:
    Output(terminal, "", "").stop()
    assert capsys.readouterr().out == printed


def test_say_writes_no_error_output_in_a_notebook(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    displayed: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: displayed.append(data))
    say("1 < 2", terminal=False)
    assert capsys.readouterr() == ("", "")
    assert displayed[0]["text/plain"] == "1 < 2"
    assert "1 &lt; 2" in displayed[0]["text/html"]


def test_say_prints_no_control_sequences_in_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("Done\x1b[31m.", terminal=True)
    assert capsys.readouterr() == ("", "Done\N{REPLACEMENT CHARACTER}[31m.\n")


HEALTH = {"ready": True, "model": "a", "reason": None, "last_ms": 12.3}
INDEX = {"error": None, "building": True, "paused": None, "files": 1, "found": 3, "root": "/work"}


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "a is ready here, last suggestion in 12 ms."),
        ({"last_ms": None}, "a is ready here."),
        ({"ready": False, "reason": "No file."}, "a is not available here. No file."),
        ({"ready": False}, "a is not available here. The model is not loaded yet."),
        (
            {"last_ms": None, "week": {"shown": 4, "accepted": 2, "saved": 9}},
            "a is ready here. 2 of 4 suggestions accepted this week, 9 keystrokes saved.",
        ),
        (
            {"last_ms": None, "week": {"shown": 4, "accepted": 2, "saved": 9, "retained": 0.896}},
            (
                "a is ready here. 2 of 4 suggestions accepted this week, 9 keystrokes saved. "
                "Of the accepted characters, 90 % were still there when they were run next."
            ),
        ),
    ],
)
def test_model_status(changed: dict[str, Any], text: str) -> None:
    assert model_status(HEALTH | changed, "here") == text


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "1 of 3 files in /work, being built"),
        ({"paused": "kernel"}, "1 of 3 files in /work, paused while a kernel is busy"),
        ({"paused": "battery"}, "1 of 3 files in /work, paused on battery"),
        ({"building": False}, "1 of 3 files in /work"),
        ({"error": "full"}, "none (full)"),
    ],
)
def test_index_status(changed: dict[str, Any], text: str) -> None:
    assert index_status(INDEX | changed) == f"Index of your code: {text}"
    assert index_status(None) == ""


USAGE_LOG = {"text": False, "file": "/a/study.jsonl", "error": None}


@pytest.mark.parametrize(
    ("usage_log", "line"),
    [
        (None, ""),
        (USAGE_LOG, "Usage log: on (numbers, no text, in /a/study.jsonl)"),
        (USAGE_LOG | {"text": True, "file": None}, "Usage log: on (numbers and the text of suggestions)"),
        (
            USAGE_LOG | {"file": None, "error": "full"},
            "Usage log: on (numbers, no text); it cannot be written: full",
        ),
    ],
)
def test_usage_log_status(usage_log: dict[str, Any] | None, line: str) -> None:
    assert usage_log_status(usage_log) == line
