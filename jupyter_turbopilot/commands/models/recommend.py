"""`jupyter turbopilot models recommend`: which model suits this machine, and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.commands.command import Command

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.models.recommend import Advice


@dataclass(frozen=True)
class Options:
    """Options of the listing: its filter and its format."""

    all: bool
    json: bool


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--all", action="store_true", help="list the larger and slower models too")
    parser.add_argument("--json", action="store_true", help="print the models as JSON, with memory in bytes")


def run(options: Options, settings: Turbopilot) -> int:
    """Say which model suits this machine."""
    from jupyter_turbopilot.engine.load import machine
    from jupyter_turbopilot.models.personal import measured_rate, personal_dir
    from jupyter_turbopilot.pilot.pilot import Pilot

    library, memory, cores = Pilot(settings).library, machine.free_memory(), machine.cores()
    measured = measured_rate(personal_dir())
    advice = sorted(
        library.advice().values(), key=lambda one: (one.verdict != "recommended", -one.model.parameters)
    )
    if not options.all:
        advice = [one for one in advice if one.verdict in {"recommended", "runs"}]
    if options.json:
        models = [_described(one) for one in advice]
        found = {"free_memory": memory, "cores": cores, "measured": measured > 0, "models": models}
        print(json.dumps(found, indent=1))
        return 0
    speed_known = (
        f"{measured / 1e9:.1f} GB of weights read a second (measured)."
        if measured
        else "speed guessed: `jupyter turbopilot doctor` or `bench` measures it."
    )
    print(f"{memory / 1e9:.1f} GB of memory free, {cores} cores, {speed_known}")
    for one in advice:
        print(
            f"{one.verdict:<12} {one.model.name:<22} {one.memory / 1e9:5.1f} GB  "
            f"about {one.tokens_a_second:5.1f} tokens/s  {one.model.licence:<12}  {one.model.use}"
        )
    return 0


def _described(advice: Advice) -> dict[str, Any]:
    model = advice.model
    return {
        "name": model.name,
        "verdict": advice.verdict,
        "memory": advice.memory,
        "tokens_a_second": round(advice.tokens_a_second, 1),
        "licence": model.licence,
        "use": model.use,
    }


COMMAND = Command("recommend", "recommend models for this machine", Options, declare, run)
