"""Writes the events of a study log as Markdown, for docs/study.md."""

from __future__ import annotations

from typing import Any

from jupyter_turbopilot.study.events import EVENTS


def markdown() -> str:
    """Return a section for each event."""
    return "\n\n".join(_section(event) for event in EVENTS)


def _section(event: str) -> str:
    description, fields, optional = EVENTS[event]
    rows = [
        f"| `{name}` | {_kind(field)}{' or missing' if name in optional else ''} | {field['description']} |"
        for name, field in fields.items()
    ]
    return "\n".join([f"### {event}", "", description, "", "| field | | |", "| --- | --- | --- |", *rows])


def _kind(field: dict[str, Any]) -> str:
    if "const" in field:
        return f"`{str(field['const']).lower() if isinstance(field['const'], bool) else field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    names = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`"}
    return names[field["type"]]
