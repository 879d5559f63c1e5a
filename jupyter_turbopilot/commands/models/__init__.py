"""`jupyter turbopilot models …`: list, fetch, remove, check, convert, quantise, describe, recommend."""

from __future__ import annotations

from jupyter_turbopilot.commands.command import Group
from jupyter_turbopilot.commands.models import convert, info, listing, quantize, recommend, stored

COMMAND = Group(
    "models",
    "list, fetch, remove, check, convert and quantise models",
    (
        listing.COMMAND,
        *stored.COMMANDS,
        convert.COMMAND,
        quantize.COMMAND,
        info.COMMAND,
        recommend.COMMAND,
    ),
)
