"""Which lines of a study log can be relied on: it may have been edited, or be of another version. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.study.events import EVENTS, LOG, schema_of

if TYPE_CHECKING:
    from jupyter_turbopilot.study.lines import Event

MOST = 2**53  # a number beyond is nothing that was counted
_SCHEMAS = {name: schema_of(name) for name in EVENTS}


def other_version(event: Event) -> str:
    """Return the schema of a session whose lines are of another version; empty of any other event."""
    schema = event.get("schema", LOG) if event.get("event") == "session" else LOG
    return "" if schema == LOG else str(schema)


def is_valid(event: Event) -> bool:
    """Tell whether an event has the fields that its schema has, each as it should be."""
    schema = _SCHEMAS.get(event["event"])
    if not schema or any(name not in event for name in schema["required"]):
        return False
    properties = schema["properties"]
    return all(name in properties and _fits(value, properties[name]) for name, value in event.items())


def _fits(value: Any, field: dict[str, Any]) -> bool:
    if "const" in field:
        return bool(value == field["const"])
    if "enum" in field:
        return value in field["enum"]
    match field["type"]:
        case "string":
            pattern = field.get("pattern")
            # Fully: after what `$` matches, a line feed may follow, and what is valid here is printed.
            return isinstance(value, str) and (pattern is None or bool(re.fullmatch(pattern, value)))
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            known = isinstance(value, int)
        case _:
            known = isinstance(value, int | float)  # infinite ones are beyond the bounds, and nan is nowhere
    if not known or isinstance(value, bool):
        return False
    return bool(max(-MOST, field.get("minimum", -MOST)) <= value <= field.get("maximum", MOST))
