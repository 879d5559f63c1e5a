"""How fast this machine writes, remembered from the last measurement.

A token is written by reading all weights once: one model's speed and two files' sizes tell the other's.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

FILE = ".speed.json"


def rate(store: Path) -> float:
    """Return how many bytes of weights are read a second; 0 where nobody measured."""
    found = _read(store).get("bytes_a_second")
    return float(found) if isinstance(found, int | float) and found > 0 else 0.0


def remember(store: Path, bytes_a_second: float, *, rough: bool = False) -> None:
    """Write down what was measured; a rough measurement does not replace a careful one."""
    before = _read(store)
    if rough and before and not before.get("rough"):
        return
    with suppress(OSError):  # where nothing can be written, it is guessed
        store.mkdir(parents=True, exist_ok=True)
        (store / FILE).write_text(json.dumps({"bytes_a_second": round(bytes_a_second), "rough": rough}))


def _read(store: Path) -> dict[str, Any]:
    try:
        found = json.loads((store / FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
