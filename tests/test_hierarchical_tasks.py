"""The tasks of data/hierarchical.json are what they say: their solutions pass, and nothing else does by chance."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.running import doctest_program, doctests_of

FILE = Path(__file__).parent / "data" / "hierarchical.json"
DATA: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
TASKS = {task["name"]: task for task in DATA["tasks"]}


def run(source: str) -> None:
    exec(compile(source, "task", "exec"), {"__name__": "task"})  # noqa: S102


def test_there_are_twenty_and_their_source_and_licence_are_named() -> None:
    assert len(TASKS) == 20
    assert FILE.stat().st_size < 60_000
    assert "HumanEval" in DATA["source"]
    assert "MIT" in DATA["source"]
    assert "Permission is hereby granted" in DATA["license"]


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_a_stub_with_doctests_or_an_instruction(name: str) -> None:
    task = TASKS[name]
    assert ("stub" in task) != ("instruction" in task)
    if "stub" in task:
        [function] = ast.parse(task["stub"]).body
        assert isinstance(function, ast.FunctionDef)
        assert function.name == task["function"]
        assert len(function.body) == 1  # the docstring
        assert ">>>" in doctests_of(task["stub"])
    else:
        assert task["instruction"].startswith(f"{task['function']}(")


@pytest.mark.parametrize("name", TASKS)
def test_its_solution_passes_and_a_wrong_one_does_not(name: str) -> None:
    task = TASKS[name]
    run(f"{task['solution']}\n{task['check']}")
    with pytest.raises((AssertionError, TypeError)):
        run(f"{task['solution']}\ndef {task['function']}(*_): return None\n{task['check']}")


@pytest.mark.parametrize("name", [name for name in TASKS if "stub" in TASKS[name]])
def test_its_doctests_say_what_its_solution_does(name: str) -> None:
    task = TASKS[name]
    run(doctest_program(task["solution"], doctests_of(task["stub"])))
