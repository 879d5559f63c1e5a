"""What was read of notebooks, kept over a restart: one file, its owner's only, checked before its use."""

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

from jupyter_turbopilot.files import UNFINISHED, replace_content
from jupyter_turbopilot.models.folder import SEQUENCES_MAGIC

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from filelock import BaseFileLock

log = logging.getLogger(__name__)

_DIGEST = 32
_LENGTH = 4
WAIT = 5.0  # seconds for another server that writes the file
_TOKEN = array("i").itemsize


@dataclass(frozen=True)
class Kept:
    """A sequence's tokens and its keys and values, as llama.cpp wrote them."""

    tokens: list[int]
    data: bytes | bytearray


def save(path: Path, key: str, kept: Sequence[Kept]) -> None:
    """Write the file; `key` says which model and which engine it is for. A full disk costs only the file."""
    payload = b"".join(array("i", one.tokens).tobytes() + one.data for one in kept)
    sizes = [[len(one.tokens), len(one.data)] for one in kept]
    header = json.dumps({"key": key, "sequences": sizes}).encode()
    body = len(header).to_bytes(_LENGTH, "little") + header + payload
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(path, WAIT):
            replace_content(path, SEQUENCES_MAGIC + hashlib.sha256(body).digest() + body, private=True)
    except OSError as error:
        _say(error.strerror or type(error).__name__)


@cache  # once is enough
def _say(reason: str) -> None:
    log.warning("Turbopilot: what was read of notebooks could not be saved for the next start: %s.", reason)


def load(path: Path, key: str) -> list[Kept]:
    """Read the file; nothing where it is damaged or for another model: such a file is deleted."""
    _clean(path)
    try:
        with path.open("rb") as file:
            raw = file.read(len(SEQUENCES_MAGIC))
            raw += file.read() if raw == SEQUENCES_MAGIC else b""  # what is not ours may be of any size
    except OSError:
        return []
    try:
        kept = _parse(raw, key)
    except (ValueError, LookupError, TypeError, AttributeError):
        kept = None  # whole, and of another shape
    if kept is None:
        with suppress(OSError):
            path.unlink()
    return kept or []


def _lock(path: Path, wait: float) -> BaseFileLock:
    """Return the lock that whoever writes the file holds; it ends with its process."""
    return FileLock(path.with_name(f"{path.name}.lock"), timeout=wait)


def _clean(path: Path) -> None:
    """Delete what was left by processes that were killed while they wrote."""
    left = [
        one
        for one in path.parent.glob(f"{path.name}.*")
        if one.suffix == UNFINISHED or one.suffix[1:].isdecimal()  # the latter are older versions'
    ]
    if left:
        with suppress(OSError), _lock(path, 0):
            for one in left:
                one.unlink(missing_ok=True)


def _parse(raw: bytes, key: str) -> list[Kept] | None:
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
    for count, size in header["sequences"]:
        tokens = array("i")
        tokens.frombytes(body[at : at + count * _TOKEN])
        at += count * _TOKEN
        sequences.append(Kept(tokens.tolist(), bytes(body[at : at + size])))
        at += size
    return sequences
