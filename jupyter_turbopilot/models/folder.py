"""A note beside each file that we put in the folder of models: what it is, and that it is ours."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

OWN = "a file of your own"  # the source of what a person put there; only its digest was noted


def note_path(file: Path) -> Path:
    """Return where a file's note is."""
    return file.with_name(f".{file.name}.json")


def read_note(file: Path) -> dict[str, Any]:
    """Read a file's note; empty where there is none, or none of ours."""
    try:
        found = json.loads(note_path(file).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("source"), str) else {}


def write_note(file: Path, source: str, **more: Any) -> None:
    """Note where a file came from."""
    fresh = note_path(file).with_suffix(".new")
    fresh.write_text(json.dumps({"source": source} | more))
    fresh.replace(note_path(file))


def remove_with_note(file: Path) -> int:
    """Delete a file and its note; return the bytes freed."""
    return sum(map(remove, (file, note_path(file))))


def remove(file: Path) -> int:
    """Delete a file and return the bytes freed; another process may delete it at any moment."""
    with suppress(FileNotFoundError):
        size = file.stat().st_size
        file.unlink()
        return size
    return 0
