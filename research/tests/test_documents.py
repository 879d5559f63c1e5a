"""The documented commands of this distribution, and its names in the product."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from jupyter_turbopilot.terminal.commands.command import ELSEWHERE
from tests.docs.test_commands import check_options, ours

FOLDER = Path(__file__).parents[1]


RESEARCH = {command for command, package in ELSEWHERE.items() if package.startswith("turbopilot-research")}


@pytest.mark.parametrize("command", sorted(command for command in ours() if command.split()[0] in RESEARCH))
def test_documented_options_exist(command: str) -> None:
    check_options(command)


def test_code_imports_no_private_name_of_the_product() -> None:
    private = [
        f"{path.name}: {alias.name}"
        for folder in ("turbopilot_research", "benchmarks", "scripts")
        for path in (FOLDER / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jupyter_turbopilot")
        for alias in node.names
        if alias.name.startswith("_")
    ]
    assert private == []
