"""Limit the CPU usage of the model: fewer threads while other processes compute or on battery power.

Failed measurements are ignored.
"""

from __future__ import annotations

import os
import time
from enum import StrEnum
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

_BATTERY_INTERVAL = 30.0  # seconds between checks of the power supply
_LOAD_INTERVAL, _LOAD_STALE = 0.3, 2.0
# Leave a core to other processes that use more than this part of it: one delayed thread delays all others.
_BUSY_CORE = 0.6


class Pause(StrEnum):
    """The reason why prefetching and other background work pauses."""

    KERNEL = "kernel"  # a kernel is busy
    BATTERY = "battery"


class Effort:
    """Decides how many threads the model uses, and whether background work may run."""

    def __init__(self, *, yield_cpu: bool = True, kernel_busy: Callable[[], bool] = lambda: False) -> None:
        self.full = 1
        self.kernel_busy = kernel_busy
        self._considerate = yield_cpu
        self._battery_checked_at = -_BATTERY_INTERVAL
        self._battery = False
        self._load = CPULoad()

    def threads(self) -> int:
        if not self._considerate:
            return self.full
        wanted = max(1, self.full // 2) if self.resting() else self.full
        cores = max(self.full, self._load.cores)
        return max(1, min(wanted, cores - int(self._load.others() + 1 - _BUSY_CORE)))

    def resting(self) -> bool:
        """Return whether background work should pause."""
        return self.pause() is not None

    def pause(self) -> Pause | None:
        """Return why background work should pause; None if it may run."""
        if not self._considerate:
            return None
        if self._is_kernel_busy():
            return Pause.KERNEL
        return Pause.BATTERY if self._on_battery() else None

    def _is_kernel_busy(self) -> bool:
        try:
            return self.kernel_busy()
        except Exception:  # noqa: BLE001 - the kernel manager may be a third party's
            return False

    def _on_battery(self) -> bool:
        now = time.monotonic()
        if now - self._battery_checked_at >= _BATTERY_INTERVAL:
            self._battery_checked_at = now
            self._battery = on_battery()
        return self._battery


class CPULoad:
    """Measures how many of the cores that this process may use are used by others."""

    def __init__(self) -> None:
        self._usable = set(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
        # Two hyperthreads of a core slow each other down, so physical cores count.
        physical = psutil.cpu_count(logical=False) or 1
        self.cores = min(physical, len(self._usable)) if self._usable else physical
        self._process = psutil.Process()
        self._others = 0.0
        self._measure()
        self._at, self._others = time.monotonic(), 0.0

    def others(self) -> float:
        """Return how many cores other processes, and other guests of the machine, have used meanwhile."""
        now = time.monotonic()
        if now - self._at >= _LOAD_INTERVAL:
            measured = self._measure()
            # An average over a long idle time does not describe the current load.
            self._others = measured if now - self._at < _LOAD_STALE else 0.0
            self._at = now
        return self._others

    def _measure(self) -> float:
        """Return how many cores others have used since the last call; the last value if that is unknown."""
        try:
            own: float = self._process.cpu_percent()
            by_core = enumerate(psutil.cpu_percent(percpu=True))
        except (psutil.Error, OSError, RuntimeError, ValueError):
            return self._others
        used: float = sum(percent for core, percent in by_core if not self._usable or core in self._usable)
        return max(0.0, used - own) / 100


def on_battery() -> bool:
    try:
        battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    except (psutil.Error, OSError, RuntimeError, ValueError):
        return False
    return battery is not None and battery.power_plugged is False
