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


def event_of(line: bytes) -> Event | None:
    """Return a line's event; none where it has none, as where a process was killed."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def events_of(lines: Iterable[bytes]) -> tuple[list[Event], int]:
    """Return the events of some lines, and how many lines have none."""
    found = [event_of(line) for line in lines if line.strip()]
    events = [event for event in found if event]
    return events, len(found) - len(events)
