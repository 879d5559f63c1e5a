"""The registrations of plugins. Other distributions register with entry points of the same groups.

Our own entries are in `OWN` and not in the metadata, because reading it takes tens of milliseconds.
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
_PLUGINS = f"{PREFIX}plugins."
_COMMANDS = f"{PREFIX}terminal.commands."
_GROUP = f"{_COMMANDS}command:declare_group"
FAULTS = (Exception, SystemExit)  # errors of a plugin
IMPORT_SECONDS = 30.0  # until the import of a plugin is given up


@dataclass(frozen=True)
class Entry:
    """An object that a plugin registers: its name, and where it is, as in an entry point."""

    name: str
    value: str  # module:attribute
    summary: str = ""  # of our own commands, for the help

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


def _imported(module: str) -> Any:
    """Import a module of another distribution in a thread, as it may never return."""
    try:
        return result_of("turbopilot-plugin", lambda: import_module(module)).result(IMPORT_SECONDS)
    except TimeoutError:
        raise TimeoutError(f"its import takes more than {IMPORT_SECONDS:g} seconds") from None


failures: dict[str, str] = {}  # plugins that could not be imported or used, and why


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
            f"{_COMMANDS}models.stored:declare_list",
            "list the available models, their state, and which suits this machine",
        ),
        Entry("models.pull", f"{_COMMANDS}models.stored:declare_pull", "download a model"),
        Entry("models.rm", f"{_COMMANDS}models.stored:declare_remove", "delete a model from this machine"),
        Entry("models.path", f"{_COMMANDS}models.stored:declare_path", "print the path of a model"),
        Entry("models.verify", f"{_COMMANDS}models.stored:declare_verify", "verify the digest of a model"),
        Entry(
            "models.convert",
            f"{_PLUGINS}convert.command:declare_convert",
            "convert a Hugging Face checkpoint to a GGUF file",
        ),
        Entry("models.quantize", f"{_PLUGINS}convert.command:declare_quantize", "quantise a GGUF file"),
        Entry("models.info", f"{_COMMANDS}models.info:declare", "describe a GGUF file and its memory use"),
        Entry("generate", f"{_COMMANDS}generate:declare", "continue a text and print timings"),
        Entry("serve", f"{_COMMANDS}serve:declare", "serve editors without a Jupyter server"),
        Entry(
            "hub-config",
            f"{_PLUGINS}hub.command:declare",
            "print the configuration of a JupyterHub that shares one model",
        ),
        Entry("index", _GROUP, "show or rebuild the index of your notebooks and files"),
        Entry("index.info", f"{_COMMANDS}notebook_index:declare_info", "show the indexes"),
        Entry("index.rebuild", f"{_COMMANDS}notebook_index:declare_rebuild", "rebuild the index of a folder"),
        Entry("usage-log", _GROUP, "summarise the usage log"),
        Entry(
            "usage-log.report",
            f"{_PLUGINS}usage.command:declare_report",
            "print statistics of suggestion outcomes",
        ),
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
    "model_sources": (Entry("checkpoint", f"{_PLUGINS}convert:fetch"),),
    "checks": (Entry("usage", f"{_PLUGINS}usage.checks:UsageLogCheck"),),
    "settings": (  # an engine's section has the name of the engine
        Entry("transformers", f"{_PLUGINS}transformers.settings:TurbopilotTransformers"),
        Entry("remote", f"{_PLUGINS}remote.settings:TurbopilotRemote"),
    ),
    "callers": (  # options of `serve`
        Entry(
            "hub",
            f"{_PLUGINS}hub.identity:hub_callers",
            "run as a service of a JupyterHub: clients send their hub tokens; the environment sets the "
            "address instead of --host and --port; see the JupyterHub page of the documentation",
        ),
    ),
    "routes": (
        Entry("functions", f"{_PLUGINS}functions:ROUTES"),
        Entry("protocols", f"{_PLUGINS}protocols:ROUTES"),
    ),
    "engines": (
        Entry("llama", f"{PREFIX}engine.llama.kind:LlamaKind"),
        Entry("transformers", f"{_PLUGINS}transformers.kind:TransformersKind"),
        Entry("remote", f"{_PLUGINS}remote.kind:RemoteKind"),
    ),
    "magics": (
        Entry("functions", f"{_PLUGINS}functions.terminal:PLUGIN"),
        Entry("usage", f"{_PLUGINS}usage.terminal:PLUGIN"),
    ),
    "fixes": (Entry("own", f"{PREFIX}fixes.find:FINDERS"),),
    "listeners": (Entry("usage", f"{_PLUGINS}usage:usage_log_of"),),
}


def own(group: str) -> tuple[Entry, ...]:
    return OWN.get(group, ())


@cache
def found(group: str) -> tuple[Entry, ...]:
    """Return all entries of a group, our own first. An entry of another distribution cannot replace them."""
    from importlib.metadata import entry_points

    entries = {entry.name: entry for entry in own(group)}
    for point in entry_points(group=PREFIX + group):
        if point.value.startswith(PREFIX):
            continue  # of our own distribution, whose entries are in `OWN`
        entry = entries.setdefault(point.name, Entry(point.name, point.value))
        if entry.value != point.value:
            failures[point.value] = f"the name {point.name} is taken by {entry.value}"
    return tuple(entries.values())


def find(group: str, name: str) -> Entry | None:
    """Return the entry with this name, or None. Metadata is read only if it is not our own."""
    return next((entry for entries in (own, found) for entry in entries(group) if entry.name == name), None)
