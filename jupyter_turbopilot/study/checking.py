"""Which lines of a study log can be relied on: it may have been edited, or be of another version. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.study.events import EVENTS, LOG, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_turbopilot.study.lines import Event

MOST = 2**53  # a number beyond is nothing that was counted
_SCHEMAS = {name: schema_of(name) for name in EVENTS}


def checked(events: Iterable[Event]) -> tuple[list[Event], int]:
    """Return the events that have all their fields as they should be, and how many have not."""
    among = list(events)
    good = [event for event in among if _is_valid(event)]
    return good, len(among) - len(good)


def other_version(events: Iterable[Event]) -> str:
    """Return the schema of the first session whose lines are of another version; empty if there is none."""
    schemas = (event.get("schema", LOG) for event in events if event.get("event") == "session")
    return next((str(schema) for schema in schemas if schema != LOG), "")


def _is_valid(event: Event) -> bool:
    schema = _SCHEMAS.get(event["event"])
    if not schema or any(name not in event for name in schema["required"]):
        return False
    properties = schema["properties"]
    return all(_fits(event[name], field) for name, field in properties.items() if name in event)


def _fits(value: Any, field: dict[str, Any]) -> bool:
    if "const" in field:
        return bool(value == field["const"])
    if "enum" in field:
        return value in field["enum"]
    match field["type"]:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            known = isinstance(value, int)
        case _:
            known = isinstance(value, int | float)  # infinite ones are beyond the bounds, and nan is nowhere
    if not known or isinstance(value, bool):
        return False
    return bool(max(-MOST, field.get("minimum", -MOST)) <= value <= field.get("maximum", MOST))
