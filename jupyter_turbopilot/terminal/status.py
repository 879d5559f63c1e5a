"""The status that `%turbopilot` prints, from the health report. Pure."""

from __future__ import annotations

from typing import Any

_BUILDING = {
    None: "being built",
    "kernel": "paused while a kernel is busy",
    "battery": "paused on battery",
}


def model_status(health: dict[str, Any], where: str) -> str:
    """Describe the state of the model, and the accepted suggestions of this week."""
    if health["ready"]:
        speed = f", last suggestion in {health['last_ms']:.0f} ms" if health["last_ms"] else ""
        state = f"{health['model']} is ready {where}{speed}."
    else:
        reason = health["reason"] or "The model is not loaded yet."
        state = f"{health['model']} is not available {where}. {reason}"
    week = health.get("week") or {}
    if week.get("shown"):
        state += f" {week['accepted']} of {week['shown']} suggestions accepted this week"
        state += f", {week.get('saved', 0)} keystrokes saved."
    if (retained := week.get("retained")) is not None:
        state += (
            f" Of the accepted characters, {100 * retained:.0f} % were still there when they were run next."
        )
    return state


def index_status(notebook_index: dict[str, Any] | None) -> str:
    """Describe the state of the index of the user's code."""
    if not notebook_index:
        return ""
    if notebook_index["error"]:
        return f"Index of your code: none ({notebook_index['error']})"
    building = f", {_BUILDING[notebook_index['paused']]}" if notebook_index["building"] else ""
    counted = f"{notebook_index['files']} of {notebook_index['found']} files"
    return f"Index of your code: {counted} in {notebook_index['root']}{building}"
