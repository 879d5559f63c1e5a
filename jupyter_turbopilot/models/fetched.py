"""Checkpoints that are fetched: where each is kept, and the note in its folder."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from jupyter_turbopilot.files import read_object, replace_content

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHECKPOINTS = "checkpoints"
CHECKPOINT_NOTE = ".fetched.json"
_FILE = re.compile(r"[A-Za-z0-9][\w.+-]{0,200}")


def checkpoint_path(folder: Path, repository: str) -> Path:
    """Return the folder that a repository's files are kept in."""
    return folder / CHECKPOINTS / repository.replace("/", "--")


@dataclass(frozen=True)
class CheckpointNote:
    """What is noted in the folder of a checkpoint that is fetched."""

    repository: str = ""
    files: tuple[str, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)  # those that were compared with the publisher's
    complete: bool = False  # whether the last file has come

    @property
    def verified(self) -> bool:
        """Whether all weights were compared; of small files the publisher gives no digest."""
        weights = {name for name in self.files if name.endswith((".safetensors", ".bin"))}
        return self.complete and bool(weights) and weights <= self.digests.keys()


def read_checkpoint_note(checkpoint: Path) -> CheckpointNote:
    """Read the note in a checkpoint's folder; empty where there is none, or none of ours."""
    note = read_object(checkpoint / CHECKPOINT_NOTE)
    repository, names, digests = note.get("repository"), note.get("files"), note.get("digests")
    files = [name for name in names if _is_name(name)] if isinstance(names, list) else []
    return CheckpointNote(
        repository if isinstance(repository, str) else "",
        tuple(files),
        {name: str(digests[name]) for name in files if name in digests} if isinstance(digests, dict) else {},
        note.get("complete") is True,
    )


def _is_name(name: object) -> bool:
    return isinstance(name, str) and bool(_FILE.fullmatch(name))


def write_checkpoint_note(checkpoint: Path, note: CheckpointNote) -> None:
    """Note what is in a checkpoint's folder: a file before it is fetched."""
    replace_content(checkpoint / CHECKPOINT_NOTE, json.dumps(asdict(note)).encode())


def checkpoints(folder: Path) -> Iterator[CheckpointNote]:
    """Iterate over the notes of checkpoints; of some repositories there is the tokenizer alone."""
    notes = map(read_checkpoint_note, sorted((folder / CHECKPOINTS).glob("*")))
    return (note for note in notes if "config.json" in note.files)


def is_complete(checkpoint: Path) -> bool:
    """Tell whether all files of a checkpoint have come, and are there."""
    note = read_checkpoint_note(checkpoint)
    return note.complete and all((checkpoint / name).is_file() for name in note.files)
