"""Whether a top-level module can be imported from some folders, without importing anything."""

from __future__ import annotations

import sys
import threading
import time
from collections import OrderedDict
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE = 0.05  # seconds that whoever asks waits: a folder may be on a machine that does not answer
LASTS = 60.0  # seconds: what is missing may be installed any time
MOST = 1024  # answers that are kept


class _Answer(NamedTuple):
    found: bool
    at: float


class Installed:
    """Looks for modules, each on a thread of its own that nobody has to wait for; remembers the answers."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, tuple[str, ...]], _Answer] = OrderedDict()
        # Who is looking where, and until when others wait for it.
        self._looking: dict[tuple[str, ...], tuple[threading.Thread, float]] = {}
        self._lock = threading.Lock()

    def __call__(self, module: str, path: Sequence[str]) -> bool:
        """Tell whether a module is there; False where that is not known in time."""
        if module in sys.stdlib_module_names:
            return True
        key = (module, tuple(path))
        with self._lock:
            if (known := self._fresh(key)) is not None:
                return known
            if key[1] not in self._looking:  # one at a time: those folders may not answer
                thread = threading.Thread(target=self._look, args=key, name="turbopilot-modules", daemon=True)
                self._looking[key[1]] = thread, time.monotonic() + PATIENCE
                thread.start()
            thread, end = self._looking[key[1]]
        thread.join(max(0.0, end - time.monotonic()))
        with self._lock:
            return self._fresh(key) or False

    def _fresh(self, key: tuple[str, tuple[str, ...]]) -> bool | None:
        known = self._known.get(key)
        return known.found if known and time.monotonic() - known.at < LASTS else None

    def _look(self, module: str, path: tuple[str, ...]) -> None:
        found = False
        try:
            # Of a top-level name: to find another, its parents would be imported.
            spec = PathFinder.find_spec(module, [*path])
            # A folder without any module of Python in it has no loader's origin: it is some folder of data.
            found = bool(spec and spec.loader and spec.origin)
        except (ImportError, OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._known[(module, path)] = _Answer(found, time.monotonic())
                while len(self._known) > MOST:
                    self._known.popitem(last=False)
                del self._looking[path]
