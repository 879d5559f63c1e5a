from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.cache.completion_cache import (
    CachedCompletion,
    CacheEntry,
    CacheKey,
    CompletionCache,
)
from jupyter_turbopilot.context.private import looks_secret
from jupyter_turbopilot.protocol.engine_request import Token


def tokens(*texts: str) -> list[Token]:
    return [Token(text.encode(), 0.9) for text in texts]


def text(found: tuple[Token, ...]) -> str:
    return b"".join(token.data for token in found).decode()


def find(results: CompletionCache, cache_key: CacheKey) -> CachedCompletion:
    known = results.find(cache_key)
    assert known is not None
    return known


def test_find_returns_a_truncated_answer_only_at_its_position_and_limit() -> None:
    results = CompletionCache(1 << 20)
    results.remember(CacheKey("g", "x", limit=8), tokens("abc", "def"), ended=False)
    places = (CacheKey("g", "x", 8), CacheKey("g", "x", 32), CacheKey("g", "xab", 8))
    same, longer, along = (find(results, cache_key) for cache_key in places)
    assert [same.complete, longer.complete, along.complete] == [True, False, False]
    assert along.text == "cdef"


@given(st.lists(st.text(min_size=1, max_size=200), max_size=30))
def test_remember_evicts_the_oldest_answers_beyond_the_limit(answers: list[str]) -> None:
    results = CompletionCache(60_000)
    for number, answer in enumerate(answers):
        results.remember(CacheKey(number, "x" * 100), tokens(answer), ended=True)
    assert results.size <= 60_000
    if answers:
        assert results.find(CacheKey(len(answers) - 1, "x" * 100)) is not None


def test_remember_replaces_a_guess_only_by_another_guess() -> None:
    results = CompletionCache(1 << 20)
    results.remember(CacheKey("g", "x = a", 8), tokens("pple"), ended=True)
    results.remember(CacheKey("g", "x = ", 8), tokens("apple", " pie"), ended=False, partial=True)
    answer, guess = find(results, CacheKey("g", "x = a", 8)), find(results, CacheKey("g", "x = ", 8))
    assert (text(answer.tokens), answer.complete) == ("pple", True)
    assert (text(guess.tokens), guess.complete) == ("apple pie", False)
    results.remember(CacheKey("g", "x = ", 8), tokens("avocado"), ended=False, partial=True)
    newer = results.find(CacheKey("g", "x = a", 8)), results.find(CacheKey("g", "x = ", 8))
    assert [text(found.tokens) for found in newer if found] == ["pple", "avocado"]


def test_find_ignores_answers_of_other_engines() -> None:
    results = CompletionCache(1 << 20)
    found = []
    for identity in ("one", "other", "one"):
        results.set_identity(identity)
        found.append(results.find(CacheKey("g", "x")) is not None)
        results.remember(CacheKey("g", "x"), tokens("a"), ended=True)
    assert found == [False, False, True]


def test_find_compares_the_text_after_the_cursor() -> None:
    results = CompletionCache(1 << 20)
    results.remember(CacheKey("g", "x", after=")"), tokens("a"), ended=True)
    assert results.find(CacheKey("g", "x", after=")")) is not None
    assert results.find(CacheKey("g", "x")) is None


def persistent(before: str = "x = ", **more: Any) -> CacheKey:
    return CacheKey("g", before, persistent=True, **more)


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=8), st.text(max_size=2500))
def test_restore_returns_a_saved_answer_in_another_process(pieces: list[str], before: str) -> None:
    kept: list[CacheEntry] = []
    first, second = CompletionCache(1 << 20, kept.append), CompletionCache(1 << 20)
    whole = "".join(pieces)
    first.remember(persistent(before, limit=(8, True)), tokens(*pieces), ended=False)
    assert all(map(second.restore, kept))
    assert len(kept) == (not any(map(looks_secret, (before.rpartition("\n")[2] + whole).splitlines())))
    for offset in range(len(whole) * len(kept)):
        cache_key = persistent(before + whole[:offset], limit=(8, True))
        assert second.find(cache_key) == first.find(cache_key) is not None


@pytest.mark.parametrize(
    ("cache_key", "answer"),
    [
        (CacheKey("g", "x = "), "1"),
        (persistent("password = "), "'hunter22'"),
        (persistent("a = 1\npassword = '", after="'\nb"), "hunter22"),
        (persistent("x"), " = 1\ntoken = 'abcdefgh'\n"),
        (persistent("x" * 30_000), "1"),
    ],
)
def test_remember_does_not_save_answers_that_must_not_last(cache_key: CacheKey, answer: str) -> None:
    kept: list[CacheEntry] = []
    results = CompletionCache(1 << 24, kept.append)
    results.remember(cache_key, tokens(answer), ended=True)
    assert results.find(cache_key) is not None
    assert kept == []


def answers(*texts: str) -> list[CacheEntry]:
    kept: list[CacheEntry] = []
    source = CompletionCache(1 << 24, kept.append)
    for text in texts:
        source.remember(persistent(), tokens(text), ended=True)
    return kept


def room_for(*answers: tuple[str, str]) -> int:
    results = CompletionCache(1 << 20)
    for before, answer in answers:
        results.remember(CacheKey("g", before), tokens(answer), ended=True)
    return results.size


def test_find_marks_an_answer_as_recently_used() -> None:
    results = CompletionCache(room_for(("x", "a"), ("y", "b")))
    for before, answer in (("x", "a"), ("y", "b")):
        results.remember(CacheKey("g", before), tokens(answer), ended=True)
    assert results.find(CacheKey("g", "x")) is not None
    results.remember(CacheKey("g", "z"), tokens("c"), ended=True)
    assert results.find(CacheKey("g", "x")) is not None
    assert results.find(CacheKey("g", "y")) is None


def test_eviction_keeps_a_newer_answer_at_the_same_position() -> None:
    both = (("x", "abc"), ("xa", "zzz"))
    results = CompletionCache(room_for(*both))
    for before, answer in (*both, ("y", "b")):
        results.remember(CacheKey("g", before), tokens(answer), ended=True)
    assert results.find(CacheKey("g", "x")) is None
    assert find(results, CacheKey("g", "xa")).text == "zzz"


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("key = '''-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA", "7bq0Zk9c3mX\nQkz81Lk2"),
        (
            "k = '''-----BEGIN OPENSSH PRIVATE KEY-----\n" + 80 * "b3BlbnNzaC1rZXktdjEAAAAA\n" + 2048 * "a",
            "QyNTUx",
        ),
        ("", "x = '''-----BEGIN PRIVATE KEY-----\nMIIEow"),
        ("password = (\n    '", "hunter2222')"),
        ("password = (\n\n    'hunter2222'\n)\n", "print(1)"),
        ("api_key = \\\n    ", "'abcd1234'"),
        ("headers = {\n    'token':\n        '", "abcdefghijkl'"),
        ("token = 'abcd1234'\nx = 1\n", "y = 2"),
    ],
)
def test_may_keep_rejects_answers_in_or_after_a_secret(before: str, text: str) -> None:
    assert not CacheKey("g", before, persistent=True).is_storable(text)


@given(st.text(max_size=8), st.sampled_from(["", "one", "other"]), st.sampled_from(["", "one", "other"]))
def test_find_separates_tenants(before: str, tenant: str, other: str) -> None:
    results = CompletionCache(1 << 20)
    results.remember(CacheKey("g", before, tenant=tenant), tokens("abc"), ended=True)
    for typed in ("", "a"):
        assert (results.find(CacheKey("g", before + typed, tenant=other)) is None) == (tenant != other)


def test_remember_does_not_save_answers_of_a_tenant() -> None:
    kept: list[CacheEntry] = []
    results = CompletionCache(1 << 20, keep=kept.append)
    for tenant in ("", "one"):
        results.remember(CacheKey("g", "x = ", persistent=True, tenant=tenant), tokens("a"), ended=True)
    assert len(kept) == 1
