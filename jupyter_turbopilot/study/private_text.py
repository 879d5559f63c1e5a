"""Which text of a suggestion may be in a study log. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_turbopilot.context.private import without_spread_secrets

LINES = 4  # before the cursor: what a line is set to may stand some lines below
LONGEST = 4096  # characters of a suggestion and of what stands around it


@dataclass(frozen=True)
class Surroundings:
    """What stands next to a suggestion: a secret may begin before it and end behind it."""

    before: str
    after: str


def surroundings_of(prefix: str, suffix: str) -> Surroundings:
    """Keep what decides whether a text between these may be a secret."""
    before = "".join(prefix[-LONGEST:].splitlines(keepends=True)[-LINES:])
    after = "".join(suffix[:LONGEST].splitlines(keepends=True)[:LINES])
    return Surroundings(before, after)


def loggable(text: str, around: Surroundings) -> str | None:
    """Return a suggestion's text; nothing where it, in its place, may be a secret or a part of one."""
    if len(text) > LONGEST:
        return None
    whole = around.before + text + around.after
    return text if without_spread_secrets(whole) == whole else None
