from __future__ import annotations

import ast
import json
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from jupyter_turbopilot.cli import parser
from jupyter_turbopilot.commands import hierarchy
from jupyter_turbopilot.commands.generate import Options, check
from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.shell.hierarchy import Functions

from .process import jupyter


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
    assert "no sandbox" in done.stderr
    answer = json.loads(done.stdout)
    assert answer["failed"]
    ast.parse(answer["source"])


@pytest.mark.parametrize(
    "option", [["--temp", "0"], ["--top-k", "3"], ["--top-p", "1"], ["-s", "7"], ["-b", "8"]]
)
def test_options_that_would_change_nothing_are_refused(option: list[str]) -> None:
    parsed = vars(parser().parse_args(["generate", "--hierarchical", "-p", "x", *option]))
    options = Options(**{field.name: parsed[field.name] for field in fields(Options)})
    with pytest.raises(BadRequestError, match="--hierarchical takes no"):
        check(options)


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
        assert hierarchy.run("def f():", None, Turbopilot(), test=False, as_json=False) == 1
        said = capsys.readouterr()
        assert ("\x1b" in said.out) is not terminal
        assert "\x1b" not in said.err
        assert "Not all was written." in said.err
