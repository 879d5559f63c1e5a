"""Events as lines of JSON, and back. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Event = dict[str, Any]


def line_of(event: Mapping[str, Any]) -> bytes:
    """Return an event as a line."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def events_of(lines: Iterable[bytes]) -> tuple[list[Event], int]:
    """Return the events of some lines, and how many lines are none, as where a process was killed."""
    events: list[Event] = []
    broken = 0
    for line in lines:
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            events.append(event)
        else:
            broken += 1
    return events, broken
