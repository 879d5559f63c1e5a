"""How fast this machine writes, remembered from the last measurement.

A token is written by reading all weights once: one model's speed and two files' sizes tell the other's.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FILE = ".speed.json"


def rate(store: Path) -> float:
    """Return how many bytes of weights are read a second; 0 where nobody measured."""
    try:
        found = json.loads((store / FILE).read_text())["bytes_a_second"]
    except (OSError, ValueError, LookupError, TypeError):
        return 0.0
    return float(found) if isinstance(found, int | float) and found > 0 else 0.0


def remember(store: Path, bytes_a_second: float) -> None:
    """Write down what was measured."""
    store.mkdir(parents=True, exist_ok=True)
    (store / FILE).write_text(json.dumps({"bytes_a_second": round(bytes_a_second)}))
