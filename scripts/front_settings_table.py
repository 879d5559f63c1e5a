"""Writes JupyterLab's settings of the extension as Markdown, from their schema, for docs/jupyterlab.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).resolve().parent.parent / "labextension" / "schema" / "plugin.json"


def markdown() -> str:
    """Return a table of the settings."""
    rows = ["| setting | default | what it does |", "| --- | --- | --- |"]
    for setting in json.loads(SCHEMA.read_text("utf-8"))["properties"].values():
        # A backslash stands for itself in the settings' own page.
        description = setting["description"].replace("\\", "\\\\")
        rows.append(f"| {setting['title']} | {_default(setting['default'])} | {description} |")
    return "\n".join(rows)


def _default(value: Any) -> str:
    if value == "":
        return "(empty)"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{', '.join(value) if isinstance(value, list) else value}`"
