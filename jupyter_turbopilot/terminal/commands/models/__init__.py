"""`jupyter turbopilot models …`: list, download, remove, verify, convert, quantise, describe, recommend."""

from __future__ import annotations

from jupyter_turbopilot.plugins.convert import command as convert
from jupyter_turbopilot.terminal.commands.command import Group
from jupyter_turbopilot.terminal.commands.models import info, stored

COMMAND = Group(
    "models",
    "list, download, remove, verify, convert and quantise models",
    (
        *stored.COMMANDS,
        *convert.COMMANDS,
        *info.COMMANDS,
    ),
)
