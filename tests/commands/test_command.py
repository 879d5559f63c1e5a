from __future__ import annotations

import argparse
from dataclasses import FrozenInstanceError, dataclass

import pytest

from jupyter_turbopilot.commands.command import Command, Group, add_model
from jupyter_turbopilot.config import Turbopilot


@dataclass(frozen=True)
class Options:
    often: int


def test_a_subcommand_runs_with_its_own_options_and_the_settings() -> None:
    seen: list[tuple[Options, Turbopilot]] = []

    def declare(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--often", type=int, help="how often")
        add_model(parser)

    def run(options: Options, settings: Turbopilot) -> int:
        seen.append((options, settings))
        return 3

    parser = argparse.ArgumentParser()
    group = Group("group", "a group", (Command("act", "an act", Options, declare, run),))
    group.add(parser.add_subparsers())
    parsed = parser.parse_args(["group", "act", "--often", "2", "-m", "x"])
    settings = Turbopilot()
    assert parsed.execute(parsed, settings) == 3
    assert seen == [(Options(2), settings)]
    assert parsed.model == "x"
    with pytest.raises(FrozenInstanceError):
        seen[0][0].often = 3  # type: ignore[misc]
