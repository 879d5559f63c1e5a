"""Saves sequences for the next start: one file with a digest, which only its owner can read."""

from __future__ import annotations

import hashlib
import json
import logging
from array import array
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from filelock import FileLock

from jupyter_turbopilot.models.user_cache import SEQUENCES_MAGIC
from jupyter_turbopilot.util.files import UNFINISHED, replace_content

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from filelock import BaseFileLock

log = logging.getLogger(__name__)

_DIGEST = 32
_LENGTH = 4
WAIT = 5.0  # seconds to wait for another server that writes the file
_TOKEN = array("i").itemsize


@dataclass(frozen=True)
class SavedSequence:
    """The tokens of a sequence, and its keys and values in llama.cpp's format."""

    tokens: list[int]
    data: bytes | bytearray
    exact: int  # leading tokens that nothing was moved or changed before


def save(path: Path, key: str, sequences: Sequence[SavedSequence]) -> None:
    """Write the file; `key` identifies the model and the engine. Log a warning if that fails."""
    payload = b"".join(array("i", sequence.tokens).tobytes() + sequence.data for sequence in sequences)
    sizes = [[len(sequence.tokens), len(sequence.data), sequence.exact] for sequence in sequences]
    header = json.dumps({"key": key, "sequences": sizes}).encode()
    body = len(header).to_bytes(_LENGTH, "little") + header + payload
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(path, WAIT):
            replace_content(path, SEQUENCES_MAGIC + hashlib.sha256(body).digest() + body, private=True)
    except OSError as error:
        _warn(error.strerror or type(error).__name__)


@cache  # each reason once
def _warn(reason: str) -> None:
    log.warning(
        "Turbopilot: The evaluated prompts could not be saved for the next start (%s). Check the disk.",
        reason,
    )


def load(path: Path, key: str) -> list[SavedSequence]:
    """Return the saved sequences. Delete a file that is damaged or for another model."""
    _clean(path)
    try:
        with path.open("rb") as file:
            raw = file.read(len(SEQUENCES_MAGIC))
            raw += file.read() if raw == SEQUENCES_MAGIC else b""  # another program's file may be huge
    except OSError:
        return []
    try:
        sequences = _parse(raw, key)
    except (ValueError, LookupError, TypeError, AttributeError):
        sequences = None  # the digest is correct, but another version wrote the file
    if sequences is None:
        with suppress(OSError):
            path.unlink()
    return sequences or []


def _lock(path: Path, wait: float) -> BaseFileLock:
    """Return the lock for writing; the system releases it when its process ends."""
    return FileLock(path.with_name(f"{path.name}.lock"), timeout=wait)


def _clean(path: Path) -> None:
    """Delete temporary files of processes that were killed while writing."""
    if left := [*path.parent.glob(f"{path.name}.*{UNFINISHED}")]:
        with suppress(OSError), _lock(path, 0):
            for file in left:
                file.unlink(missing_ok=True)


def _parse(raw: bytes, key: str) -> list[SavedSequence] | None:
    start = len(SEQUENCES_MAGIC) + _DIGEST
    body = memoryview(raw)[start:]
    if not raw.startswith(SEQUENCES_MAGIC) or hashlib.sha256(body).digest() != raw[start - _DIGEST : start]:
        return None
    length = int.from_bytes(body[:_LENGTH], "little")
    header = json.loads(bytes(body[_LENGTH : _LENGTH + length]))
    if header["key"] != key:
        return None
    at = _LENGTH + length
    sequences = []
    for count, size, exact in header["sequences"]:
        tokens = array("i")
        tokens.frombytes(body[at : at + count * _TOKEN])
        at += count * _TOKEN
        sequences.append(SavedSequence(tokens.tolist(), bytes(body[at : at + size]), exact))
        at += size
    return sequences
