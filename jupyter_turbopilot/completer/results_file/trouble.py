"""That the results file cannot be used, in words. Pure."""

from __future__ import annotations


def unusable(name: str, reason: str) -> str:
    """Say that the file which the setting names cannot be used, and why."""
    return f"The file in c.Turbopilot.results_file, {name!r}, cannot be used: {reason}."
