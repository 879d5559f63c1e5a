"""Which text of a suggestion may be in a study log. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_turbopilot.context.private import without_spread_secrets
from jupyter_turbopilot.memory.entries import ARMOUR

LINES = 4  # before the cursor: what a line is set to may stand some lines below
LONGEST = 4096  # characters of a suggestion and of what stands around it


@dataclass(frozen=True)
class Surroundings:
    """What stands next to a suggestion: a secret may begin before it and end behind it."""

    before: str
    after: str
    armoured: bool = False  # whether a key in armour begins above, however far, and has not ended


def surroundings_of(prefix: str, suffix: str) -> Surroundings:
    """Keep what decides whether a text between these may be a secret."""
    before = "".join(prefix[-LONGEST:].splitlines(keepends=True)[-LINES:])
    after = "".join(suffix[:LONGEST].splitlines(keepends=True)[:LINES])
    # What has no end reaches to the end of the text; so does an end that the cursor stands at.
    armoured = any(found.end() == len(prefix) for found in ARMOUR.finditer(prefix))
    return Surroundings(before, after, armoured)


def loggable(text: str, around: Surroundings) -> str | None:
    """Return a suggestion's text; nothing where it, in its place, may be a secret or a part of one."""
    if len(text) > LONGEST or around.armoured:
        return None
    whole = around.before + text + around.after
    begin, end = len(around.before), len(around.before) + len(text)
    if any(found.start() < end and found.end() >= begin for found in ARMOUR.finditer(whole)):
        return None
    return text if without_spread_secrets(whole) == whole else None
