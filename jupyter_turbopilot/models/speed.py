"""How fast this machine writes, remembered in the person's own folder from the last measurement.

A token is written by reading all weights once: one model's speed and two files' sizes tell the other's.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_turbopilot.files import read_object, replace_content
from jupyter_turbopilot.models.personal import SPEED

if TYPE_CHECKING:
    from pathlib import Path


def rate(folder: Path) -> float:
    """Return how many bytes of weights are read a second; 0 where nobody measured."""
    measured = read_object(folder / SPEED).get("bytes_a_second")
    return float(measured) if isinstance(measured, int | float) and measured > 0 else 0.0


def remember(folder: Path, bytes_a_second: float, *, rough: bool = False) -> None:
    """Write down what was measured; a rough measurement does not replace a careful one."""
    before = read_object(folder / SPEED)
    if rough and before and not before.get("rough"):
        return
    with suppress(OSError):  # where nothing can be written, it is guessed
        content = json.dumps({"bytes_a_second": round(bytes_a_second), "rough": rough})
        replace_content(folder / SPEED, content.encode(), private=True)
