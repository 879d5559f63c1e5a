"""Whether a kernel can import a module, without importing anything."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from functools import partial
from importlib import machinery
from typing import TYPE_CHECKING, Generic, TypeVar

from jupyter_turbopilot.lookups import lookups
from jupyter_turbopilot.suggestion.imports import Found

if TYPE_CHECKING:
    from collections.abc import Hashable

    from jupyter_turbopilot.context.facts import Modules

PATIENCE = 0.05  # seconds that a caller waits: a folder may be on a machine that does not answer
LASTS = 60.0  # seconds: what is missing may be installed any time
MOST = 1024  # answers that are kept
K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class Lasting(Generic[K, V]):
    """Keeps so many answers, each for so many seconds; the oldest go first."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._kept: OrderedDict[K, tuple[V, float]] = OrderedDict()

    def get(self, key: K, *, stale: bool = False) -> V | None:
        """Return an answer that still holds; `stale`: or the last one that did."""
        kept = self._kept.get(key)
        return kept[0] if kept and (stale or time.monotonic() - kept[1] < self._seconds) else None

    def keep(self, key: K, answer: V) -> None:
        """Keep an answer from now on."""
        self._kept[key] = answer, time.monotonic()
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)


class Installed:
    """Looks for modules on the look-up thread; remembers the answers."""

    def __init__(self) -> None:
        self._known: Lasting[tuple[str, Modules], Found] = Lasting(LASTS, MOST)
        # Modules that are looked for in each kernel's folders, and until when callers wait for those folders.
        self._looks: dict[Modules, tuple[list[str], float]] = {}
        self._changed = threading.Condition()

    def __call__(self, module: str, modules: Modules, *, waits: bool = True) -> Found | None:
        """Tell where a module is; None where that is not known in time, or not yet.

        What was found holds until the next answer is there, however old it is: the same is said at each key.
        What was not may be installed by now. Of a dotted name, what is behind the first package that has code
        is not looked for: only that code knows.
        """
        if module in modules.builtin:
            return Found.ANYWHERE
        key = module, modules
        with self._changed:
            if (found := self._known.get(key)) is not None:
                return found
            # One look-up at a time for the same folders: they may not answer.
            wanted, until = look = self._looks.get(modules) or ([module], time.monotonic() + PATIENCE)
            if modules in self._looks or lookups.submit(partial(self._look, modules, wanted)):
                self._looks[modules] = look
                if module not in wanted:
                    wanted.append(module)
                if waits:
                    self._changed.wait_for(lambda: self._known.get(key) is not None, until - time.monotonic())
            found = self._known.get(key, stale=True)
            return self._known.get(key) if found is Found.NOWHERE else found

    def _look(self, modules: Modules, wanted: list[str]) -> None:
        """Look for modules until no more are wanted."""
        finders = [(folder, _finder(folder, modules.suffixes)) for folder in modules.path]
        while wanted:
            found = _find(wanted[0], finders, modules)
            with self._changed:
                self._known.keep((wanted.pop(0), modules), found)
                if not wanted:
                    del self._looks[modules]
                self._changed.notify_all()


def _finder(folder: str, suffixes: tuple[str, ...]) -> machinery.FileFinder:
    """Find modules in a folder as a Python does whose compiled ones end like this."""
    return machinery.FileFinder(
        folder,
        (machinery.ExtensionFileLoader, [*suffixes]),
        (machinery.SourceFileLoader, machinery.SOURCE_SUFFIXES),
        (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
    )


def _find(module: str, finders: list[tuple[str, machinery.FileFinder]], modules: Modules) -> Found:
    """Look for a module; each finder stands with the folder of the kernel's path that it belongs to."""
    name, _, inside = module.partition(".")
    parts: list[tuple[str, machinery.FileFinder]] = []  # of a namespace package
    for folder, finder in finders if name.isidentifier() else ():
        try:
            spec = finder.find_spec(name)
        except Exception:  # noqa: BLE001, S112 - whatever is wrong with a folder, it holds no module
            continue
        if spec and spec.loader:
            return Found.HERE if folder in modules.here else Found.ANYWHERE
        # It may be some folder of data: what is imported has to be in it.
        places = (spec and spec.submodule_search_locations) or ()
        parts.extend((folder, _finder(place, modules.suffixes)) for place in places)
    return _find(inside, parts, modules) if inside and parts else Found.NOWHERE
