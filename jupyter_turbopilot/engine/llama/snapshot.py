"""Saves sequences for the next start: one file with a digest, which only its owner can read."""

from __future__ import annotations

import hashlib
import json
import logging
from array import array
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from filelock import FileLock

from jupyter_turbopilot.engine.llama.kv_cache import new_buffer
from jupyter_turbopilot.engine.stepping.sequences import KVSequence
from jupyter_turbopilot.models.user_cache import SEQUENCES_MAGIC
from jupyter_turbopilot.util.failures import DAMAGED
from jupyter_turbopilot.util.files import UNFINISHED, open_replacement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import BufferedReader
    from pathlib import Path

    from filelock import BaseFileLock

log = logging.getLogger(__name__)

_DIGEST = 32
_LENGTH = 4
WAIT = 5.0  # seconds to wait for another server that writes the file
_TOKEN = array("i").itemsize


def save(path: Path, key: str, sequences: Sequence[KVSequence]) -> None:
    """Write parked sequences; `key` identifies the model and the engine. Log a warning if that fails."""
    sizes = [[len(sequence.tokens), len(sequence.state), sequence.exact] for sequence in sequences]
    header = json.dumps({"key": key, "sequences": sizes}).encode()
    body: list[bytes | memoryview] = [len(header).to_bytes(_LENGTH, "little"), header]
    for sequence in sequences:
        body += array("i", sequence.tokens).tobytes(), sequence.state
    digest = hashlib.sha256()
    for part in body:
        digest.update(part)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not flushed to the disk, which may take seconds: `load` deletes a damaged file.
        with _lock(path, WAIT), open_replacement(path, private=True) as file:
            file.writelines([SEQUENCES_MAGIC, digest.digest(), *body])
    except OSError as error:
        _warn(error.strerror or type(error).__name__)


@cache  # each reason once
def _warn(reason: str) -> None:
    log.warning(
        "Turbopilot: The evaluated prompts could not be saved for the next start (%s). Check the disk.",
        reason,
    )


def load(path: Path, key: str) -> list[KVSequence]:
    """Return the saved sequences. Delete a file that is damaged or for another model."""
    _clean(path)
    try:
        with path.open("rb") as file:
            sequences = _parse(file, key)
    except (OSError, MemoryError):
        return []
    except DAMAGED:
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


def _parse(file: BufferedReader, key: str) -> list[KVSequence] | None:
    if file.read(len(SEQUENCES_MAGIC)) != SEQUENCES_MAGIC:
        return None  # without reading another program's file, which may be huge
    expected, start = file.read(_DIGEST), file.tell()
    if hashlib.file_digest(file, "sha256").digest() != expected:
        return None
    file.seek(start)
    header = json.loads(file.read(int.from_bytes(file.read(_LENGTH), "little")))
    if header["key"] != key:
        return None
    sequences = []
    for count, size, exact in header["sequences"]:
        tokens, data = array("i", file.read(count * _TOKEN)), new_buffer(size)
        file.readinto(data)
        stale = [int(index >= exact) for index in range(count)]
        sequences.append(KVSequence(-1, tokens.tolist(), stale=stale, state=data))
    return sequences
