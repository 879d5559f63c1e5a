"""`jupyter turbopilot models list`: what there is, and what is on this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.commands.command import Command, add_engine
from jupyter_turbopilot.files import describe_size

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.config import Turbopilot


@dataclass(frozen=True)
class Options:
    """How to print the list."""

    json: bool


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_engine(parser)
    parser.add_argument("--json", action="store_true", help="print all details as JSON")


def run(options: Options, settings: Turbopilot) -> int:
    """List models."""
    from jupyter_turbopilot.models.folder import described
    from jupyter_turbopilot.models.store import unavailable
    from jupyter_turbopilot.pilot.pilot import Pilot
    from jupyter_turbopilot.server.describe import describe_models

    pilot = Pilot(settings)
    models = describe_models(pilot)
    if options.json:
        print(json.dumps(models, indent=1))
        return 0
    rows = [_row(entry, settings.model) for entry in models]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for mark, name, size, *others in rows:
        cells = [f"{mark} {name}".ljust(widths[1] + 2), size.rjust(widths[2])]
        cells += [text.ljust(width) for text, width in zip(others, widths[3:], strict=True)]
        print("  ".join(cells).rstrip())
    damaged = [entry["spec"] for entry in models if entry["damaged"]]
    for spec in damaged:
        model = pilot.kind.find(spec)
        print(f"\n{unavailable(model, pilot.kind.stored(model), settings.engine).message}")
    where = described(pilot.store.folder)
    print(f"\n* the configured model. Models are kept in {where}")
    return 0


def _row(entry: dict[str, Any], configured: str) -> tuple[str, ...]:
    """Return the columns of a model: configured or not, its size, whether it is here, its use."""
    size = f"{'' if entry['counted'] else '~'}{describe_size(entry['size'])}" if entry["size"] else ""
    mark = "*" if entry["spec"] == configured else " "
    return mark, entry["name"], size, _state(entry), entry["licence"], entry["use"]


def _state(entry: dict[str, Any]) -> str:
    """Describe what of a model is on this machine."""
    if entry["received"] is not None:
        share = entry["received"] / entry["size"] if entry["size"] else 0
        return f"{min(share, 1):.0%} downloaded"
    if entry["damaged"]:
        return "damaged"
    if not entry["stored"]:
        return ""
    return "here" if entry["verified"] else "here, unverified"


COMMAND = Command(
    "list", "list the models there are, and which of them are on this machine", Options, declare, run
)
