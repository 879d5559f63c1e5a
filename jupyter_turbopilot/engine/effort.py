"""How much of the machine the model may use now: less while others compute, or on battery.

Whatever cannot be measured, because a counter cannot be read or a kernel has just ended, changes nothing.
"""

from __future__ import annotations

import time
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

_PLUG_EVERY = 30.0  # seconds between two looks at the power supply
_LOAD_EVERY, _LOAD_STALE = 0.3, 2.0
# A core that others use to this extent is left to them: a thread that waits there delays all our others.
_THEIRS = 0.6


class Pause(StrEnum):
    """Why work that nobody waits for pauses."""

    KERNEL = "kernel"  # one computes
    BATTERY = "battery"


class Effort:
    """The number of threads, and whether work that nobody waits for may run."""

    def __init__(self, *, considerate: bool = True, kernel_busy: Callable[[], bool] = lambda: False) -> None:
        self.full = 1
        self.kernel_busy = kernel_busy  # whether a kernel computes for somebody
        self._considerate = considerate
        self._plug_looked = -_PLUG_EVERY
        self._battery = False
        self._load = Load()

    def threads(self) -> int:
        """Return the number of threads to compute with now."""
        if not self._considerate:
            return self.full
        wanted = max(1, self.full // 2) if self.resting() else self.full
        return max(1, min(wanted, self.full - int(self._load.others() + 1 - _THEIRS)))

    def computes_in(self, pid: int | None) -> None:
        """Count what a child process computes as the model's, not as others'; None: there is none."""
        self._load.include(pid)

    def resting(self) -> bool:
        """Tell whether work that nobody waits for should pause."""
        return self.pause() is not None

    def pause(self) -> Pause | None:
        """Return why work that nobody waits for should pause; None: it may run."""
        if not self._considerate:
            return None
        if self._kernel_computes():
            return Pause.KERNEL
        return Pause.BATTERY if self._on_battery() else None

    def _kernel_computes(self) -> bool:
        try:
            return self.kernel_busy()
        except Exception:  # noqa: BLE001 - a manager of kernels may be anybody's
            return False

    def _on_battery(self) -> bool:
        now = time.monotonic()
        if now - self._plug_looked >= _PLUG_EVERY:
            self._plug_looked = now
            self._battery = on_battery()
        return self._battery


class Load:
    """How many cores other processes keep busy, looked at every now and then."""

    def __init__(self) -> None:
        self.include(None)

    def include(self, pid: int | None) -> None:
        """Begin anew, with this process and another as our own."""
        self._processes = [psutil.Process()]
        if pid is not None:
            with suppress(psutil.Error):
                self._processes.append(psutil.Process(pid))
        self._at, self._all, self._own = self._look() or (time.monotonic(), 0.0, 0.0)
        self._others = 0.0

    def others(self) -> float:
        """Return the cores that others kept busy lately."""
        passed = time.monotonic() - self._at
        if passed >= _LOAD_EVERY and (seen := self._look()):
            at, total, own = seen
            theirs = max(0.0, (total - self._all) - (own - self._own)) / (at - self._at)
            # What somebody did a while ago, when nothing was asked of us, says nothing about now.
            self._others = theirs if passed < _LOAD_STALE else 0.0
            self._at, self._all, self._own = at, total, own
        return self._others

    def _look(self) -> tuple[float, float, float] | None:
        """Return the time, and the seconds of computing of everybody and of ourselves."""
        try:
            now = psutil.cpu_times()
            ours = [process.cpu_times() for process in self._processes]
        except (psutil.Error, OSError, RuntimeError, ValueError):
            return None
        everybody = now.user + now.system + getattr(now, "nice", 0.0)
        return time.monotonic(), everybody, sum(one.user + one.system for one in ours)


def on_battery() -> bool:
    """Tell whether the machine runs on its battery."""
    try:
        battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    except (psutil.Error, OSError, RuntimeError, ValueError):
        return False
    return battery is not None and battery.power_plugged is False
