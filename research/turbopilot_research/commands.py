"""The entry points of the commands, which import little until they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def declare_eval(parser: argparse.ArgumentParser) -> None:
    """Replay notebooks and measure how useful the suggestions are."""
    from turbopilot_research.evaluate.command import declare

    declare(parser)


def declare_train(parser: argparse.ArgumentParser) -> None:
    """Fine-tune a model to your notebooks and code, on this machine only."""
    from turbopilot_research.train.command import declare

    declare(parser)


def declare_usage_log(parser: argparse.ArgumentParser) -> None:
    """Summarise the usage log."""
    from turbopilot_research.usage.command import declare

    declare(parser)
