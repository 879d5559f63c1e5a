"""What plugins register. Other distributions register with the same groups of entry points.

Our own entries are in `OWN`, so that no metadata is read for them: reading it takes tens of milliseconds.
`pyproject.toml` declares the same entries; `tests/util/test_registry.py` compares the two.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

PREFIX = "jupyter_turbopilot."
_PLUGINS = f"{PREFIX}plugins."
_COMMANDS = f"{PREFIX}terminal.commands."


@dataclass(frozen=True)
class Entry:
    """An object that a plugin registers: its name, and where it is, as in an entry point."""

    name: str
    value: str  # module:attribute
    summary: str = ""  # of our own commands, for the help

    def load(self) -> Any:
        """Import the object; None if that fails, which is logged and reported by `doctor`."""
        try:
            module, _, attribute = self.value.partition(":")
            return getattr(import_module(module), attribute)
        except Exception as error:  # noqa: BLE001 - a plugin can raise anything when it is imported
            failures[self.value] = f"{type(error).__name__}: {error}"
            logging.getLogger("turbopilot").warning(
                "Skipped the plugin %s: %s", self.value, failures[self.value]
            )
            return None


failures: dict[str, str] = {}  # plugins that could not be imported, and why

OWN: dict[str, tuple[Entry, ...]] = {
    "commands": (),
    "settings": (  # an engine's section has the name of the engine
        Entry("transformers", f"{_PLUGINS}transformers.settings:TurbopilotTransformers"),
        Entry("remote", f"{_PLUGINS}remote.settings:TurbopilotRemote"),
    ),
    "routes": (Entry("protocols", f"{_PLUGINS}protocols:ROUTES"),),
    "engines": (
        Entry("llama", f"{PREFIX}engine.llama.kind:LlamaKind"),
        Entry("transformers", f"{_PLUGINS}transformers.kind:TransformersKind"),
        Entry("remote", f"{_PLUGINS}remote.kind:RemoteKind"),
    ),
    "listeners": (Entry("usage", f"{_PLUGINS}usage:usage_log_of"),),
}


def own(group: str) -> tuple[Entry, ...]:
    """Return our own entries of a group."""
    return OWN.get(group, ())


@cache
def found(group: str) -> tuple[Entry, ...]:
    """Return all entries of a group, our own first. An entry of another distribution cannot replace them."""
    from importlib.metadata import entry_points

    entries = {entry.name: entry for entry in own(group)}
    for point in entry_points(group=PREFIX + group):
        entry = entries.setdefault(point.name, Entry(point.name, point.value))
        if entry.value != point.value:
            failures[point.value] = f"the name {point.name} is taken by {entry.value}"
    return tuple(entries.values())


def find(group: str, name: str) -> Entry | None:
    """Return the entry with this name, or None. Metadata is read only if it is not our own."""
    return next((entry for entries in (own, found) for entry in entries(group) if entry.name == name), None)
