"""Answers for tests of the persistent completion cache."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from jupyter_turbopilot.completer.cache.cache_file import SCHEMA, Database
from jupyter_turbopilot.completer.cache.completion_cache import CacheEntry, CacheKey, CompletionCache
from jupyter_turbopilot.protocol.engine_request import Token

MEGABYTE = 1024 * 1024


def cache_key(number: int, typed: str = "") -> CacheKey:
    return CacheKey(("asked", number), f"x = {typed}", limit=(48, True, 0.5), persistent=True)


def answers(numbers: Iterable[int], text: str = "answer {} and some more of it") -> list[CacheEntry]:
    kept: list[CacheEntry] = []
    results = CompletionCache(1 << 28, kept.append)
    for number in numbers:
        tokens = [
            Token(piece.encode(), 0.1 + number % 7 / 10, number) for piece in text.format(number).split(" ")
        ]
        results.remember(cache_key(number), tokens, ended=number % 2 == 0)
    return kept


def open_file(path: Path, limit: int = 64 * MEGABYTE) -> Database:
    SCHEMA.prepare(path)
    return Database(path, limit)


def texts(path: Path) -> list[str]:
    """Return the answers in a file, newest first."""
    database = open_file(path)
    found = [answer.text for answer in database.newest()]
    database.close()
    return found


def whole_size(path: Path) -> int:
    """Return the size of a file with its auxiliary files."""
    return sum(file.stat().st_size for file in path.parent.iterdir() if path.name in file.name)
