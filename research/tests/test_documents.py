"""The documented commands and settings of this distribution."""

from __future__ import annotations

import pytest

from jupyter_turbopilot.util.registry import DISTRIBUTIONS
from tests.docs.pages import Block
from tests.docs.test_commands import check_options, ours
from tests.docs.test_configuration import check_block, snippets

COMMANDS = {name for name, package in DISTRIBUTIONS.items() if package.startswith("turbopilot-research")}


@pytest.mark.parametrize("command", sorted(command for command in ours() if command.split()[0] in COMMANDS))
def test_documented_options_exist(command: str) -> None:
    check_options(command)


@pytest.mark.parametrize("block", snippets(of_research=True), ids=lambda block: block.place)
def test_configuration_snippets_are_accepted(block: Block) -> None:
    check_block(block)
