"""`jupyter turbopilot forget`: delete what was read of notebooks and kept for the next start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.commands.command import Command, NoOptions
from jupyter_turbopilot.commands.removing import list_names, remove, size_of_all

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.config import Turbopilot


def declare(parser: argparse.ArgumentParser) -> None:
    """There are no options."""


def run(_: NoOptions, __: Turbopilot) -> int:
    """Remove what was read of notebooks."""
    from jupyter_turbopilot.models.personal import personal_dir, sequences
    from jupyter_turbopilot.server import runtime

    files = list(sequences(personal_dir()))
    done = f"{size_of_all(files)} removed." if files else "Nothing was kept."
    remaining = remove(files)
    print(done)
    list_names("Could not be removed", remaining)
    list_names(
        "A server that runs keeps what it has read, and writes it down when it stops", runtime.survey()[1]
    )
    return 1 if remaining else 0


COMMAND = Command(
    "forget", "remove what was read of notebooks and kept for the next start", NoOptions, declare, run
)
