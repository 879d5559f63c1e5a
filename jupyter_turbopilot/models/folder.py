"""A note beside each file that we put in the folder of models: what it is, and that it is ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.files import read_object, remove, replace_content

if TYPE_CHECKING:
    from pathlib import Path

OWN = "a file of your own"  # the source of what a person put there; only its digest was noted


def note_path(file: Path) -> Path:
    """Return where a file's note is."""
    return file.with_name(f".{file.name}.json")


def read_note(file: Path) -> dict[str, Any]:
    """Read a file's note; empty where there is none, or none of ours."""
    note = read_object(note_path(file))
    return note if isinstance(note.get("source"), str) else {}


def write_note(file: Path, source: str, **more: Any) -> None:
    """Note where a file came from."""
    replace_content(note_path(file), json.dumps({"source": source} | more).encode())


def remove_with_note(file: Path) -> int:
    """Delete a file and its note; return the bytes freed."""
    return sum(map(remove, (file, note_path(file))))
