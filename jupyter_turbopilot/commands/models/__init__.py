"""`jupyter turbopilot models …`: list, fetch, remove, check, convert, quantise, describe, recommend."""

from __future__ import annotations

from jupyter_turbopilot.commands.command import Group
from jupyter_turbopilot.commands.models import convert, info, stored

COMMAND = Group(
    "models",
    "list, fetch, remove, check, convert and quantise models",
    (
        *stored.COMMANDS,
        *convert.COMMANDS,
        *info.COMMANDS,
    ),
)
