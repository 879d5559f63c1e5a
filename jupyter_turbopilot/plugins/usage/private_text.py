"""Filter for the text of suggestions in a usage log. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_turbopilot.context.private import without_spread_secrets
from jupyter_turbopilot.index.entries import ARMOUR

LINES = 4  # lines before the cursor: a value may be some lines below its name
LONGEST = 4096  # characters of a suggestion and of the text around it


@dataclass(frozen=True)
class Surroundings:
    """The text next to a suggestion: a secret may begin before it and end after it."""

    before: str
    after: str
    armoured: bool = False  # whether an armoured key that began above, at any distance, is still open


def surroundings_of(prefix: str, suffix: str) -> Surroundings:
    """Keep the text that determines whether a suggestion between these may be a secret."""
    before = "".join(prefix[-LONGEST:].splitlines(keepends=True)[-LINES:])
    after = "".join(suffix[:LONGEST].splitlines(keepends=True)[:LINES])
    # An unfinished key extends to the end of the text; so does one that ends at the cursor.
    armoured = any(found.end() == len(prefix) for found in ARMOUR.finditer(prefix))
    return Surroundings(before, after, armoured)


def loggable(text: str, around: Surroundings) -> str | None:
    """Return a suggestion's text; None if it may be part of a secret."""
    if len(text) > LONGEST or around.armoured:
        return None
    whole = around.before + text + around.after
    begin, end = len(around.before), len(around.before) + len(text)
    if any(found.start() < end and found.end() >= begin for found in ARMOUR.finditer(whole)):
        return None
    return text if without_spread_secrets(whole) == whole else None
