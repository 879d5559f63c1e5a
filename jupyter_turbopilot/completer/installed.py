"""Whether a kernel can import a module, without importing anything."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from typing import TYPE_CHECKING, Generic, TypeVar

from jupyter_turbopilot.suggestion.imports import Found

if TYPE_CHECKING:
    from collections.abc import Hashable

    from jupyter_turbopilot.context.facts import Modules

PATIENCE = 0.05  # seconds that whoever asks waits: a folder may be on a machine that does not answer
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

    def get(self, key: K) -> V | None:
        """Return an answer that still holds."""
        kept = self._kept.get(key)
        return kept[0] if kept and time.monotonic() - kept[1] < self._seconds else None

    def last(self, key: K) -> V | None:
        """Return the last answer, whether it still holds or not."""
        kept = self._kept.get(key)
        return kept[0] if kept else None

    def keep(self, key: K, answer: V) -> None:
        """Keep an answer from now on."""
        self._kept[key] = answer, time.monotonic()
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)


class _Look:
    """A look into the folders of one kernel: what it is for, and until when others wait for it."""

    def __init__(self) -> None:
        self.wanted: set[str] = set()
        self.until = time.monotonic() + PATIENCE


class Installed:
    """Looks for modules, on one thread for each kernel's folders; remembers the answers."""

    def __init__(self) -> None:
        self._known: Lasting[tuple[str, Modules], Found] = Lasting(LASTS, MOST)
        self._looks: dict[Modules, _Look] = {}
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
            look = self._looks.get(modules)
            if look is None:  # one at a time: those folders may not answer
                look = _Look()
                try:
                    threading.Thread(
                        target=self._run, args=(modules, look), name="turbopilot-modules", daemon=True
                    ).start()
                except RuntimeError:  # there can be no more threads now
                    return self._last(key)
                self._looks[modules] = look
            look.wanted.add(module)
            if waits:
                left = look.until - time.monotonic()
                self._changed.wait_for(lambda: self._known.get(key) is not None, max(0.0, left))
            return self._last(key)

    def _last(self, key: tuple[str, Modules]) -> Found | None:
        found = self._known.last(key)
        return self._known.get(key) if found is Found.NOWHERE else found

    def _run(self, modules: Modules, look: _Look) -> None:
        """Look for what is wanted until nothing more is."""
        while wanted := self._wanted(modules, look):
            finders = [(folder, _finder(folder, modules.suffixes)) for folder in modules.path]
            for module in wanted:
                found = _find(module, finders, modules)
                with self._changed:
                    self._known.keep((module, modules), found)
                    look.wanted.discard(module)
                    self._changed.notify_all()

    def _wanted(self, modules: Modules, look: _Look) -> list[str]:
        """Return what is still looked for; nothing ends the look."""
        with self._changed:
            if not look.wanted:
                del self._looks[modules]
            return [*look.wanted]


def _finder(folder: str, suffixes: tuple[str, ...]) -> FileFinder:
    """Find modules in a folder as a Python does whose compiled ones end like this."""
    return FileFinder(
        folder,
        (ExtensionFileLoader, [*suffixes]),
        (SourceFileLoader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )


def _find(module: str, finders: list[tuple[str, FileFinder]], modules: Modules) -> Found:
    """Look for a module; each finder stands with the folder of the kernel's path that it belongs to."""
    name, _, inside = module.partition(".")
    parts: list[tuple[str, FileFinder]] = []  # of a namespace package
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
