"""Search the folders of a kernel's import path for modules, without importing any."""

from __future__ import annotations

import threading
import time
from functools import partial
from importlib import machinery
from typing import TYPE_CHECKING, Generic, TypeVar

from jupyter_turbopilot.analysis.imports import ModuleLocation
from jupyter_turbopilot.util.bounds import LimitedDict
from jupyter_turbopilot.util.lookups import lookups

if TYPE_CHECKING:
    from collections.abc import Hashable

    from jupyter_turbopilot.analysis.kernel_context import Modules

TIMEOUT = 0.05  # seconds that a caller waits; a folder may be on a network drive that does not answer
LASTS = 60.0  # seconds; missing modules may be installed at any time
MOST = 1024  # cached results
K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class TimedCache(Generic[K, V]):
    """A cache of limited size whose entries expire after some seconds."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._entries = LimitedDict[K, tuple[V, float]](most)

    def get(self, key: K, *, stale: bool = False) -> V | None:
        """Return a value unless it has expired; with `stale`, also if it has."""
        entry = self._entries.get(key)
        return entry[0] if entry and (stale or time.monotonic() - entry[1] < self._seconds) else None

    def put(self, key: K, value: V) -> None:
        """Add or renew an entry."""
        self._entries[key] = value, time.monotonic()


class Installed:
    """Searches for modules on the look-up thread, and caches the results."""

    def __init__(self) -> None:
        self._cache: TimedCache[tuple[str, Modules], ModuleLocation] = TimedCache(LASTS, MOST)
        # For each kernel: the modules that are being searched for, and the end of the callers' timeout.
        self._searches: dict[Modules, tuple[list[str], float]] = {}
        self._changed = threading.Condition()

    def __call__(self, module: str, modules: Modules, *, waits: bool = True) -> ModuleLocation | None:
        """Return where a module is; None if the search has not ended in time.

        An expired result is returned until the next search has ended, so that suggestions do not change
        between keystrokes, unless it is negative: the module may be installed by now. The search for a dotted
        name stops at the first package with code, which decides what it contains.
        """
        if module in modules.builtin:
            return ModuleLocation.ANYWHERE
        key = module, modules
        with self._changed:
            if (found := self._cache.get(key)) is not None:
                return found
            # One search at a time in the same folders, which may not answer.
            wanted, until = search = self._searches.get(modules) or ([module], time.monotonic() + TIMEOUT)
            if modules in self._searches or lookups.submit(partial(self._search, modules, wanted)):
                self._searches[modules] = search
                if module not in wanted:
                    wanted.append(module)
                if waits:
                    self._changed.wait_for(lambda: self._cache.get(key) is not None, until - time.monotonic())
            found = self._cache.get(key, stale=True)
            return self._cache.get(key) if found is ModuleLocation.NOWHERE else found

    def _search(self, modules: Modules, wanted: list[str]) -> None:
        """Search for modules until the list is empty."""
        finders = [(folder, _finder(folder, modules.suffixes)) for folder in modules.path]
        while wanted:
            found = _find(wanted[0], finders, modules)
            with self._changed:
                self._cache.put((wanted.pop(0), modules), found)
                if not wanted:
                    del self._searches[modules]
                self._changed.notify_all()


def _finder(folder: str, suffixes: tuple[str, ...]) -> machinery.FileFinder:
    """Return a finder for a folder; `suffixes` are those of the kernel's extension modules."""
    return machinery.FileFinder(
        folder,
        (machinery.ExtensionFileLoader, [*suffixes]),
        (machinery.SourceFileLoader, machinery.SOURCE_SUFFIXES),
        (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
    )


def _find(module: str, finders: list[tuple[str, machinery.FileFinder]], modules: Modules) -> ModuleLocation:
    """Search for a module. Each finder is paired with its folder on the kernel's path."""
    name, _, inside = module.partition(".")
    parts: list[tuple[str, machinery.FileFinder]] = []  # of a namespace package
    for folder, finder in finders if name.isidentifier() else ():
        try:
            spec = finder.find_spec(name)
        except (OSError, ValueError):  # skip a folder that cannot be read
            continue
        if spec and spec.loader:
            return ModuleLocation.HERE if folder in modules.here else ModuleLocation.ANYWHERE
        # A folder without code may be a namespace package, or just data: search it for the submodule.
        places = (spec and spec.submodule_search_locations) or ()
        parts.extend((folder, _finder(place, modules.suffixes)) for place in places)
    return _find(inside, parts, modules) if inside and parts else ModuleLocation.NOWHERE
