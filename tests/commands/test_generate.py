from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

from jupyter_turbopilot.shell.hierarchy import Functions

from .running import jupyter, run


def test_the_text_streams_and_the_figures_follow(tiny_model: Path) -> None:
    done = jupyter("generate", "-m", tiny_model, "-p", "def f", "-n", "12", "-t", "1", "-s", "7", "-b", "8")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("def f")
    assert len(done.stdout) > len("def f")
    for line in (
        "load time",
        "sample time",
        "prompt time",
        "predict time",
        "total time",
        "mem per token",
        "seed            7",
    ):
        assert line in done.stderr


def test_the_same_seed_gives_the_same_text(tiny_model: Path) -> None:
    def text(*more: str) -> str:
        done = jupyter("generate", "-m", tiny_model, "-p", "x", "-n", "12", "--json", *more)
        return str(json.loads(done.stdout)["text"])

    assert text("-s", "3") == text("-s", "3")
    assert len({text("-s", str(seed)) for seed in range(3)}) > 1
    assert text("--temp", "0", "-s", "1") == text("--temp", "0", "-s", "2")


def test_a_prompt_that_does_not_fit_is_refused_in_words(tiny_model: Path) -> None:
    done = jupyter("generate", "-m", tiny_model, "-p", "x" * 5000, "-n", "4")
    assert done.returncode == 2
    assert "context" in done.stderr


def test_functions_go_to_the_output_and_what_happens_to_the_errors(tiny_model: Path) -> None:
    stub = "def f(x):\n    '''Do it.'''"
    done = jupyter("generate", "--hierarchical", "-m", tiny_model, "-p", stub, "-n", "12")
    assert done.returncode == 0, done.stderr
    ast.parse(done.stdout)
    assert "def f(x):" in done.stdout
    assert "f(x)" in done.stderr


def test_doctests_that_fail_are_said_and_an_exit_status(tiny_model: Path) -> None:
    stub = "def f(x):\n    '''Double.\n\n    >>> f(2)\n    4\n    '''"
    done = jupyter("generate", "--hierarchical", "--test", "--json", "-m", tiny_model, "-p", stub, "-n", "2")
    assert done.returncode == 1
    assert "not a sandbox" in done.stderr
    answer = json.loads(done.stdout)
    assert answer["failed"]
    ast.parse(answer["source"])


@pytest.mark.parametrize(
    "option", [["--temp", "0"], ["--top-k", "3"], ["--top-p", "1"], ["-s", "7"], ["-b", "8"]]
)
def test_options_that_would_change_nothing_are_refused(
    capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    status, _, err = run(capsys, "generate", "--hierarchical", "-p", "x", *option)
    assert (status, "--hierarchical takes no" in err) == (2, True)


@pytest.mark.parametrize(
    "arguments", [["--test", "-p", "x"], ["--hierarchical", "-p", "def f("], ["--hierarchical", "-p", ""]]
)
def test_what_cannot_be_done_is_refused(arguments: list[str], tiny_model: Path) -> None:
    done = jupyter("generate", "-m", tiny_model, *arguments)
    assert done.returncode == 2
    assert "turbopilot:" in done.stderr


def test_a_terminal_obeys_nothing_that_was_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = Functions("f", "def f():\n    return '\x1b]0;owned\x07'\n", broken="It \x1b[31mbroke.")
    monkeypatch.setattr("jupyter_turbopilot.shell.hierarchy.write", lambda *_, **__: written)
    for terminal in (True, False):
        monkeypatch.setattr(sys.stdout, "isatty", lambda terminal=terminal: terminal, raising=False)
        status, out, err = run(capsys, "generate", "--hierarchical", "-p", "def f():")
        assert (status, "\x1b" in out, "\x1b" in err) == (1, not terminal, False)
        assert "Not all was written." in err
