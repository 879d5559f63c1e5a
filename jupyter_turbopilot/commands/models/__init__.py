"""`jupyter turbopilot models …`: list, download, remove, verify, convert, quantise, describe, recommend."""

from __future__ import annotations

from jupyter_turbopilot.commands.command import Group
from jupyter_turbopilot.commands.models import convert, info, stored

COMMAND = Group(
    "models",
    "list, download, remove, verify, convert and quantise models",
    (
        *stored.COMMANDS,
        *convert.COMMANDS,
        *info.COMMANDS,
    ),
)
