from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

from jupyter_turbopilot.plugins.functions.show import Functions
from jupyter_turbopilot.protocol.errors import EngineError
from jupyter_turbopilot.util.bounds import MOST_FUNCTION_TOKENS

from .running import jupyter, run


def test_generate_streams_the_text_and_prints_timings(tiny_model: Path) -> None:
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


def test_generate_refuses_a_prompt_that_exceeds_the_context(tiny_model: Path) -> None:
    done = jupyter("generate", "-m", tiny_model, "-p", "x" * 5000, "-n", "4")
    assert done.returncode == 2
    assert "context" in done.stderr


def test_helpers_prints_functions_to_stdout_and_progress_to_stderr(tiny_model: Path) -> None:
    stub = "def f(x):\n    '''Do it.'''"
    done = jupyter("generate", "--helpers", "-m", tiny_model, "-p", stub, "-n", "12")
    assert done.returncode == 0, done.stderr
    ast.parse(done.stdout)
    assert "def f(x):" in done.stdout
    assert "f(x)" in done.stderr


def test_helpers_prints_json(tiny_model: Path) -> None:
    done = jupyter("generate", "--helpers", "--json", "-m", tiny_model, "-p", "def f(x):", "-n", "2")
    answer = json.loads(done.stdout)
    assert answer.keys() == {"prompt", "source", "undefined"}
    ast.parse(answer["source"])


@pytest.mark.parametrize(
    "option", [["--temp", "0"], ["--top-k", "3"], ["--top-p", "1"], ["-s", "7"], ["-b", "8"]]
)
def test_helpers_refuses_options_without_effect(
    capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    status, _, err = run(capsys, "generate", "--helpers", "-p", "x", *option)
    assert (status, "--helpers cannot be combined with" in err) == (2, True)


def test_helpers_refuses_more_tokens_than_a_request_allows(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "generate", "--helpers", "-p", "x", "-n", "1000000")
    assert (status, f"from 1 to {MOST_FUNCTION_TOKENS} with --helpers" in err) == (2, True)


@pytest.mark.parametrize("arguments", [["--helpers", "-p", "def f("], ["--helpers", "-p", ""]])
def test_generate_refuses_invalid_options(arguments: list[str], tiny_model: Path) -> None:
    done = jupyter("generate", "-m", tiny_model, *arguments)
    assert done.returncode == 2
    assert "turbopilot:" in done.stderr


def test_helpers_escapes_control_sequences_for_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = Functions("def f():\n    return '\x1b]0;owned\x07'\n", error=EngineError("It \x1b[31mbroke."))
    monkeypatch.setattr("jupyter_turbopilot.plugins.functions.show.write", lambda *_, **__: written)
    for terminal in (True, False):
        monkeypatch.setattr(sys.stdout, "isatty", lambda terminal=terminal: terminal, raising=False)
        status, out, err = run(capsys, "generate", "--helpers", "-p", "def f():")
        assert (status, "\x1b" in out, "\x1b" in err) == (1, not terminal, False)
        assert "The result is incomplete." in err
