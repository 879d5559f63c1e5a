"""Digests that are the same in every process."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

KEY_BYTES = 16
# Bytes hashed per call. From 2048 bytes on, hashlib releases the GIL: while another thread computes in
# Python, getting it back can take 5 ms.
PIECE = 2040


def digest(*parts: Hashable) -> bytes:
    """Return a digest of plain values (text, numbers, None, tuples of them), the same in every process."""
    data = memoryview(repr(parts).encode("utf-8", "surrogatepass"))
    found = blake2b(digest_size=KEY_BYTES)
    for at in range(0, len(data), PIECE):
        found.update(data[at : at + PIECE])
    return found.digest()
