"""How much of the machine the model may take at the moment: less while a kernel computes or on battery."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_EVERY = 30.0  # seconds; a plug is not pulled more often than that


class Effort:
    """Threads, and whether anything may run that nobody waits for."""

    def __init__(self, *, considerate: bool = True) -> None:
        self.full = 1
        self.busy: Callable[[], bool] = lambda: False  # whether a kernel computes for somebody
        self._considerate = considerate
        self._looked = -_LOOK_EVERY
        self._battery = False

    def threads(self) -> int:
        """Return how many threads to compute on now."""
        return max(1, self.full // 2) if self.resting() else self.full

    def resting(self) -> bool:
        """Tell whether the machine is needed for something else."""
        return self._considerate and (self.busy() or self._on_battery())

    def _on_battery(self) -> bool:
        now = time.monotonic()
        if now - self._looked >= _LOOK_EVERY:
            self._looked = now
            self._battery = on_battery()
        return self._battery


def on_battery() -> bool:
    """Tell whether the machine runs on its battery."""
    try:
        battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    except (OSError, RuntimeError):
        return False
    return battery is not None and battery.power_plugged is False
