"""The completion cache: answers are reused when a user types along one, deletes or returns. Pure.

Answers are identified by digests that are the same in every process, so they can be saved for the next one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.private import without_spread_secrets
from jupyter_turbopilot.util.files import KEY_BYTES, MEGABYTE, PIECE, digest

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from jupyter_turbopilot.protocol.engine_request import Token

CACHE_BYTES = 8 * MEGABYTE
REACH = 4096  # characters of an answer that can be typed along
TAIL = 2048  # characters before the cursor that must be equal; text further above is ignored
_NEAR = 2048  # characters before the cursor in which a secret prevents saving an answer
_ENTRY_BYTES = 160  # an index entry: a key, its slot in the table, a reference


@dataclass(frozen=True)
class CacheKey:
    """The position of an answer: its parameters, and the text before and after the cursor."""

    group: Hashable  # plain values
    before: str
    limit: Hashable = None  # limits that may have truncated the answer
    after: str = ""
    persistent: bool = False  # whether an answer may be saved to the file
    tenant: str = ""  # an answer is never used for another one
    kernel: str = ""  # digest of the kernel context, which may change while a text is generated

    @property
    def tail(self) -> str:
        """The text directly before the cursor."""
        return self.before[-TAIL:]

    @cached_property
    def digest(self) -> bytes:
        """A digest of everything that is equal along an answer."""
        return digest(self.tenant, self.group, self.kernel, self.after)

    def is_storable(self, text: str) -> bool:
        """Return whether an answer may be saved: not inside a secret or shortly after one.

        Answers of a tenant stay in memory, as several users share the server.
        """
        if self.tenant or not self.persistent:
            return False
        above = self.before + text
        if above.rfind("-----BEGIN ") > above.rfind("-----END "):
            return False
        near = min(self.before.rfind("\n") + 1, max(0, len(self.before) - _NEAR))
        around = self.before[near:] + text + self.after.partition("\n")[0]
        return without_spread_secrets(around) == around


@dataclass(frozen=True)
class CachedCompletion:
    """The cached continuation at a position."""

    tokens: tuple[Token, ...]
    text: str
    complete: bool  # whether it is the whole answer; otherwise only its beginning
    ended: bool
    aligned: bool  # whether it begins at a token boundary
    typed: bool = False  # whether the user typed a part of it


@dataclass(frozen=True, eq=False)
class CacheEntry:
    """A generated answer."""

    keys: tuple[bytes, ...]  # digests of its position, then of the position after each typed character
    tokens: tuple[Token, ...]
    limit: str  # limits that may have truncated it
    ended: bool
    partial: bool = False  # whether generation stopped before its end

    @cached_property
    def text(self) -> str:
        """The text of its tokens."""
        return b"".join(token.data for token in self.tokens).decode("utf-8", "ignore")

    @property
    def size(self) -> int:
        """Approximate size in bytes."""
        return len(self.tokens) * 2 * _ENTRY_BYTES + len(self.keys) * _ENTRY_BYTES


class CompletionCache:
    """Answers, found at every position along their text; bounded in bytes, least recently used evicted first.

    `keep` receives each answer that may be saved to the file.
    """

    def __init__(self, limit: int, keep: Callable[[CacheEntry], object] | None = None) -> None:
        self._limit = limit
        self._keep = keep
        self._identity = b""
        self._persistent = True
        self._answers: OrderedDict[int, CacheEntry] = OrderedDict()
        self._index: dict[bytes, int] = {}
        self._next = 0
        self.generation = 0  # changes with the answers
        self._lock = threading.Lock()  # asked on the server's thread, filled on the worker's
        self.size = 0

    def set_identity(self, identity: str, *, persistent: bool = True) -> None:
        """Set the identity that cached answers depend on from now on.

        `identity`: model and settings; `persistent`: whether it is complete, so that other processes may
        share answers.
        """
        with self._lock:
            self._identity, self._persistent = digest(identity), persistent
            self.generation += 1

    def remember(
        self, cache_key: CacheKey, tokens: Sequence[Token], *, ended: bool, partial: bool = False
    ) -> None:
        """Store an answer; `ended` if it is whole, not truncated by a limit.

        A `partial` answer is the beginning of an unfinished answer; it never replaces a finished one.
        """
        # Alternative tokens are reported once and not stored.
        alone = tuple(replace(token, top=()) if token.top else token for token in tokens)
        answer = CacheEntry((), alone, repr(cache_key.limit), ended, partial)
        answer = replace(answer, keys=_keys(self._identity, cache_key, answer.text))
        if answer.size > self._limit:
            return
        with self._lock:
            self._add(answer)
            while self.size > self._limit:
                self._forget(next(iter(self._answers)))
        if self._keep and self._persistent and not partial and cache_key.is_storable(answer.text):
            self._keep(answer)

    def clear(self) -> None:
        """Remove all answers."""
        with self._lock:
            self._answers.clear()
            self._index.clear()
            self.size = 0
            self.generation += 1

    def restore(self, answer: CacheEntry) -> bool:
        """Add an answer as the oldest one; False if there is no room for it."""
        with self._lock:
            if self.size + answer.size > self._limit:
                return False
            self._add(answer, older=True)
        return True

    def find(self, cache_key: CacheKey) -> CachedCompletion | None:
        """Return the cached continuation at a position."""
        (key,) = _keys(self._identity, cache_key, "")
        with self._lock:
            number = self._index.get(key, -1)
            if (answer := self._answers.get(number)) is None:
                return None
            self._answers.move_to_end(number)
        offset = answer.keys.index(key)
        same = offset == 0 and not answer.partial and answer.limit == repr(cache_key.limit)
        tokens, aligned = tokens_after(answer.tokens, len(answer.text[:offset].encode()))
        return CachedCompletion(
            tokens, answer.text[offset:], answer.ended or same, answer.ended, aligned, offset > 0
        )

    def _add(self, answer: CacheEntry, *, older: bool = False) -> None:
        number, self._next = self._next, self._next + 1
        self.generation += 1
        self._answers[number] = answer
        if older:
            self._answers.move_to_end(number, last=False)
        self.size += answer.size
        for key in answer.keys:
            there = self._answers.get(self._index.get(key, -1))
            if there is None or there.partial or not (older or answer.partial):
                self._index[key] = number

    def _forget(self, number: int) -> None:
        answer = self._answers.pop(number)
        self.size -= answer.size
        for key in answer.keys:
            if self._index.get(key, -1) == number:
                del self._index[key]


def _keys(identity: bytes, cache_key: CacheKey, text: str) -> tuple[bytes, ...]:
    """Return the digests of a position, and of the positions after each typed character of a text.

    The end of the text is left out: its continuation is unknown. An empty text is found at its start.
    """
    begun = blake2b(identity + cache_key.digest, digest_size=KEY_BYTES)
    typed = text[: min(REACH, len(text)) - 1] if text else ""
    before = cache_key.tail.encode("utf-8", "surrogatepass")
    seen = memoryview(before + typed.encode())
    keys, end = [], len(before)
    for character in ("", *typed):
        end += len(character.encode())
        key = begun.copy()
        key.update(seen[max(0, end - PIECE) : end])
        keys.append(key.digest())
    return tuple(keys)


def tokens_after(tokens: Sequence[Token], skip: int) -> tuple[tuple[Token, ...], bool]:
    """Return the tokens after the first `skip` bytes, and whether the first of them is whole."""
    for number, token in enumerate(tokens):
        if skip < len(token.data):
            first = replace(token, data=token.data[skip:])
            return (first, *tokens[number + 1 :]), skip == 0
        skip -= len(token.data)
    return (), True
