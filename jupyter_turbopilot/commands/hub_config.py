"""`jupyter turbopilot hub-config`: what an administrator adds to a JupyterHub's configuration."""

from __future__ import annotations

import stat
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.commands.command import Command

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from jupyter_turbopilot.config import Turbopilot

WHERE = {
    "hub": "Add this to jupyterhub_config.py, then restart the hub and people's servers.",
    "tljh": "Save this as /opt/tljh/config/jupyterhub_config.d/turbopilot.py, then run "
    "`tljh-config reload` and restart people's servers.",
}


@dataclass(frozen=True)
class Options:
    """For which kind of hub."""

    kind: str


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--kind",
        choices=[*WHERE, "helm"],
        default="hub",
        help="how the hub is installed: hub (its own jupyterhub_config.py), tljh (The Littlest JupyterHub), "
        "helm (Zero to JupyterHub); default: %(default)s",
    )


def run(options: Options, settings: Turbopilot) -> int:
    """Print it."""
    from jupyter_turbopilot.models.folder import models_dir
    from jupyter_turbopilot.server.hub.snippets import in_cluster, on_host

    if options.kind == "helm":
        print(in_cluster(), end="")
    else:
        folder = models_dir(settings.models_dir).absolute()
        print(on_host(sys.executable, str(folder), WHERE[options.kind]), end="")
        if advice := _lacking(folder):
            print(advice, file=sys.stderr)
    return 0


def _lacking(folder: Path) -> str:
    """Return what to do about a folder that the service, or people's servers, cannot use; empty: nothing."""
    if not (models := list(folder.glob("*.gguf"))):
        return f"There is no model in {folder} yet. Fetch one: jupyter turbopilot models pull"
    needed = dict.fromkeys((folder, *folder.parents), stat.S_IXOTH) | dict.fromkeys(models, stat.S_IROTH)
    needed[folder] |= stat.S_IROTH
    closed = [each for each, bits in needed.items() if each.stat().st_mode & bits != bits]
    if closed:
        return (
            f"Only some accounts can read {closed[-1]}. Set TURBOPILOT_MODELS to a folder that everybody can "
            "read, fetch the model there, and run this again; or let everybody read it."
        )
    return ""


COMMAND = Command("hub-config", "print what a JupyterHub needs to share one model", Options, declare, run)
