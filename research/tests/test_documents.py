"""The documented commands and settings of this distribution."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.util.registry import OTHER_DISTRIBUTIONS
from tests.docs.pages import Block, check_imports
from tests.docs.test_commands import check_options, ours
from tests.docs.test_configuration import check_block, snippets

RESEARCH = {
    command for command, package in OTHER_DISTRIBUTIONS.items() if package.startswith("turbopilot-research")
}


@pytest.mark.parametrize("command", sorted(command for command in ours() if command.split()[0] in RESEARCH))
def test_documented_options_exist(command: str) -> None:
    check_options(command)


@pytest.mark.parametrize("block", snippets(of_research=True), ids=lambda block: block.place)
def test_configuration_snippets_are_accepted(block: Block) -> None:
    check_block(block)


def test_usage_log_imports_only_public_names_of_the_product() -> None:
    check_imports(Path(__file__).parents[1] / "turbopilot_research" / "usage")
