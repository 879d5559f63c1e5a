from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

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
    "arguments", [["--test", "-p", "x"], ["--hierarchical", "-p", "def f("], ["--hierarchical", "-p", ""]]
)
def test_what_cannot_be_done_is_refused(arguments: list[str], tiny_model: Path) -> None:
    done = jupyter("generate", "-m", tiny_model, *arguments)
    assert done.returncode == 2
    assert "turbopilot:" in done.stderr
