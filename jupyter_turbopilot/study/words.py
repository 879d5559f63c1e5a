"""What a study log holds, in a few words. Pure."""

from __future__ import annotations

TEXT, NO_TEXT = "the text of suggestions", "no text"


def holdings(*, text: bool) -> str:
    """Word what is logged, with or without the text of suggestions."""
    return f"numbers and {TEXT}" if text else f"numbers, {NO_TEXT}"
