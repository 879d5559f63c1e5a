"""Writes the settings of a section of the configuration as Markdown, for the README and docs/engines.md."""

from __future__ import annotations

from jupyter_turbopilot import config


def markdown(section: str) -> str:
    """Return a table of a section's traits."""
    rows = ["| trait | default | what it does |", "| --- | --- | --- |"]
    for name, trait in sorted(getattr(config, section).class_own_traits(config=True).items()):
        default = "(empty)" if trait.default() in ("", []) else trait.default()
        rows.append(f"| `{name}` | `{default}` | {trait.help} |")
    return "\n".join(rows)
