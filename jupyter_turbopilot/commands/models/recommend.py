"""`jupyter turbopilot models recommend`: which model suits this machine, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.commands.command import Command

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.config import Turbopilot


@dataclass(frozen=True)
class Options:
    """How many models to judge aloud."""

    all: bool


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--all", action="store_true", help="list the larger and slower models too")


def run(options: Options, settings: Turbopilot) -> int:
    """Say which model suits this machine."""
    from jupyter_turbopilot.engine.load import machine
    from jupyter_turbopilot.models import speed
    from jupyter_turbopilot.models.personal import personal_dir
    from jupyter_turbopilot.pilot.pilot import Pilot

    library = Pilot(settings).library
    measured = speed.rate(personal_dir())
    print(
        f"{machine.free_memory() / 1e9:.1f} GB of memory free, {machine.cores()} cores, "
        + (
            f"{measured / 1e9:.1f} GB of weights read a second (measured)."
            if measured
            else "speed guessed: `jupyter turbopilot doctor` or `bench` measures it."
        )
    )
    advice = library.advice().values()
    for one in sorted(advice, key=lambda one: (one.verdict != "recommended", -one.model.parameters)):
        if options.all or one.verdict in {"recommended", "runs"}:
            print(
                f"{one.verdict:<12} {one.model.name:<22} {one.memory / 1e9:5.1f} GB  "
                f"about {one.tokens_a_second:5.1f} tokens/s  {one.model.licence:<12}  {one.model.use}"
            )
    return 0


COMMAND = Command("recommend", "recommend models for this machine", Options, declare, run)
