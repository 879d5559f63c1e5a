"""The registrations of plugins: entry points, of this distribution (see pyproject.toml) and of others.

The core's own entries are in `OWN`, because reading the metadata takes tens of milliseconds.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.util.threads import result_of

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "jupyter_turbopilot."
_COMMANDS = f"{PREFIX}terminal.commands."
_GROUP = f"{_COMMANDS}command:declare_group"
FAULTS = (Exception, SystemExit)  # errors of a plugin
IMPORT_SECONDS = 30.0  # until the import of a plugin is given up


@dataclass(frozen=True)
class Entry:
    """An object that a plugin registers: its name, and where it is, as in an entry point."""

    name: str
    value: str  # module:attribute
    summary: str = ""  # of the core's commands, for the help

    @property
    def is_own(self) -> bool:
        """Whether it is not of another distribution."""
        return self.value.startswith(PREFIX)

    def load(self, checked: Callable[[Any], Any] = lambda found: found) -> Any:
        """Import the object; None if that fails, which is logged once and reported by `doctor`.

        `checked` returns the object, or raises an error if it cannot be used. Another distribution's entry
        that failed is not imported again; a failure of our own may pass, for example if memory was low.
        """
        if self.value in failures and not self.is_own:
            return None
        module, _, attribute = self.value.partition(":")
        try:
            imported = import_module(module) if self.is_own else _imported(module)
            found = checked(getattr(imported, attribute))
        except FAULTS as error:
            self.skip(f"{type(error).__name__}: {error}")
            return None
        failures.pop(self.value, None)
        return found

    def skip(self, reason: str) -> None:
        """Do not use the entry until the process ends, see `load`."""
        if self.value not in failures:
            failures[self.value] = reason
            logging.getLogger("turbopilot").warning("Skipped the plugin %s: %s", self.value, reason)


# Commands that need another distribution, and what installs it.
OTHER_COMMANDS = {
    "eval": "turbopilot-research",
    "train": "turbopilot-research[train]",
    "usage-log": "turbopilot-research",
    "hub-config": "turbopilot-service",
}
# In addition, settings and options of `serve`.
OTHER_DISTRIBUTIONS = OTHER_COMMANDS | {
    "c.Turbopilot.usage_log": "turbopilot-research",
    "--hub": "turbopilot-service",
}


@cache
def _imported(module: str) -> Any:
    """Import a module of another distribution in a thread, as it may never return."""
    package = module.partition(".")[0]
    late = TimeoutError(f"its import takes more than {IMPORT_SECONDS:g} seconds")
    if package in _hanging:
        raise late
    imported = result_of("turbopilot-plugin", lambda: import_module(module))
    try:
        return imported.result(IMPORT_SECONDS)
    except TimeoutError:
        if imported.done():  # an error of the plugin
            raise
        _hanging.add(package)
        raise late from None


failures: dict[str, str] = {}  # plugins that could not be imported or used, and why
_hanging: set[str] = set()  # packages whose import has not ended in time


def install_advice(name: str) -> str:
    """Return the sentence that names the distribution to install, in the version of this one."""
    from importlib.metadata import version

    install = f'python -m pip install "{OTHER_DISTRIBUTIONS[name]}=={version("jupyter-turbopilot")}"'
    return f"{name} needs another package, which you install with: {install}"


def instance_of(kind: type, thing: Any) -> Any:
    """Return an object of a plugin; raise a TypeError if it is not of this class."""
    if not isinstance(thing, kind):
        raise TypeError(f"{type(thing).__name__} is not derived from {kind.__name__}")
    return thing


def subclass_of(kind: type, found: Any) -> Any:
    """Return a class of a plugin; raise a TypeError if it is not derived from this one."""
    if not issubclass(found, kind):
        raise TypeError(f"{found.__name__} is not derived from {kind.__name__}")
    return found


OWN: dict[str, tuple[Entry, ...]] = {
    # In the order of the help. A command of a group has the group's name before its own.
    "commands": (
        Entry("complete", f"{_COMMANDS}complete:declare", "print a completion for a position in a file"),
        Entry("models", _GROUP, "list, download, remove, verify, convert and quantise models"),
        Entry(
            "models.list",
            f"{_COMMANDS}models:declare_list",
            "list the available models, their state, and which suits this machine",
        ),
        Entry("models.pull", f"{_COMMANDS}models:declare_pull", "download a model"),
        Entry("models.rm", f"{_COMMANDS}models:declare_remove", "delete a model from this machine"),
        Entry("models.path", f"{_COMMANDS}models:declare_path", "print the path of a model"),
        Entry("models.verify", f"{_COMMANDS}models:declare_verify", "verify the digest of a model"),
        Entry("models.info", f"{_COMMANDS}models:declare_info", "describe a GGUF file and its memory use"),
        Entry("generate", f"{_COMMANDS}generate:declare", "continue a text and print timings"),
        Entry("serve", f"{_COMMANDS}serve:declare", "serve editors without a Jupyter server"),
        Entry("index", _GROUP, "show or rebuild the index of your notebooks and files"),
        Entry("index.info", f"{_COMMANDS}notebook_index:declare_info", "show the indexes"),
        Entry("index.rebuild", f"{_COMMANDS}notebook_index:declare_rebuild", "rebuild the index of a folder"),
        Entry(
            "purge",
            f"{_COMMANDS}removing:declare_purge",
            "delete downloaded and derived models, cached completions, notebook indexes, and runtime files",
        ),
        Entry(
            "forget",
            f"{_COMMANDS}removing:declare_forget",
            "delete what is stored of your code: saved sequences, cached completions and notebook indexes",
        ),
        Entry(
            "doctor", f"{_COMMANDS}doctor:declare", "check the installation and its speed, and suggest fixes"
        ),
    ),
    "engines": (Entry("llama", f"{PREFIX}engine.llama.kind:LlamaKind"),),
    "fixes": (Entry("own", f"{PREFIX}fixes.find:FINDERS"),),
}


def own(group: str) -> tuple[Entry, ...]:
    return OWN.get(group, ())


@cache
def registered() -> dict[str, list[Entry]]:
    """Return the entry points of all groups, our own first. The metadata is read once."""
    from importlib.metadata import entry_points

    points = entry_points()
    groups = {
        group.removeprefix(PREFIX): [Entry(point.name, point.value) for point in points.select(group=group)]
        for group in points.groups
        if group.startswith(PREFIX)
    }
    return {name: sorted(group, key=lambda entry: not entry.is_own) for name, group in groups.items()}


def found(group: str) -> tuple[Entry, ...]:
    """Return all entries of a group, our own first. An entry of another distribution cannot replace them."""
    entries = {entry.name: entry for entry in own(group)}
    for entry in registered().get(group, ()):
        first = entries.setdefault(entry.name, entry)
        if first.value != entry.value:
            failures[entry.value] = f"the name {entry.name} is taken by {first.value}"
    return tuple(entries.values())


def find(group: str, name: str) -> Entry | None:
    """Return the entry with this name, or None. Metadata is read only if it is not one of the core."""
    return next((entry for entries in (own, found) for entry in entries(group) if entry.name == name), None)
