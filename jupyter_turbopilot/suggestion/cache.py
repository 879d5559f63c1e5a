"""A cache of answers, for users who type along one, delete back or come back. Pure."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import size_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from jupyter_turbopilot.generation import Token

REACH = 4096  # characters of an answer that may be typed along
TAIL = 2048  # characters before the cursor that must be equal; what stands further above does not matter
_GUESS = "guess"  # the limit of an answer that was not written up to its own limit
_ENTRY_BYTES = 160  # an index entry: a key, its place in the table, a reference


@dataclass(frozen=True)
class Place:
    """Where an answer belongs: the model, what was asked for, the text after and before the cursor."""

    group: Hashable
    before: str
    limit: Hashable = None  # what may have cut the answer short

    @property
    def tail(self) -> str:
        """What stands right before the cursor."""
        return self.before[-TAIL:]


@dataclass(frozen=True)
class Known:
    """What is known to follow at a place."""

    tokens: tuple[Token, ...]
    text: str
    complete: bool  # the answer itself; otherwise a guess at how the answer begins
    ended: bool
    aligned: bool  # whether it begins where a token began
    typed: bool = False  # whether a part of it was typed


@dataclass(frozen=True, eq=False)
class _Answer:
    place: Place
    tokens: tuple[Token, ...]
    text: str
    ended: bool

    def tail(self, offset: int) -> str:
        """Return what stands right before the cursor after this much of the answer was typed."""
        typed = self.text[:offset]
        return (self.place.tail[-max(1, TAIL - offset) :] + typed)[-TAIL:]

    @property
    def size(self) -> int:
        reach = min(len(self.text), REACH)
        return (
            size_of(self.place.group)
            + len(self.place.before)
            + len(self.tokens) * 2 * _ENTRY_BYTES
            + reach * _ENTRY_BYTES
        )


class Results:
    """Answers, found at every position along their text; bounded in bytes, least recently used out first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._answers: OrderedDict[int, _Answer] = OrderedDict()
        self._index: dict[int, tuple[int, int]] = {}
        self._known_by: dict[int, list[int]] = {}
        self._next = 0
        self._lock = threading.Lock()  # asked on the server's thread, filled on the worker's
        self.size = 0

    def remember(self, place: Place, tokens: Sequence[Token], *, ended: bool, guess: bool = False) -> None:
        """Store an answer; `ended` if it is whole, not cut off by a limit.

        A `guess` is the beginning of an answer that was not written to its end; it never replaces an answer.
        """
        if guess:
            place = replace(place, limit=_GUESS)
        text = b"".join(token.data for token in tokens).decode("utf-8", "ignore")
        # The other likely tokens are reported once and not stored.
        alone = tuple(replace(token, top=()) if token.top else token for token in tokens)
        answer = _Answer(replace(place, before=place.tail), alone, text, ended)
        if answer.size > self._limit:
            return
        keys = self._keys(answer)
        with self._lock:
            self._remember(answer, keys)

    def find(self, place: Place) -> Known | None:
        """Return what is known to follow at a place."""
        with self._lock:
            return self._find(place)

    def clear(self) -> None:
        """Forget every answer."""
        with self._lock:
            self._answers.clear()
            self._index.clear()
            self._known_by.clear()
            self.size = 0

    def _remember(self, answer: _Answer, keys: list[int]) -> None:
        number, self._next = self._next, self._next + 1
        self._answers[number] = answer
        self._known_by[number] = keys
        self.size += answer.size
        for offset in range(len(keys) - 1, -1, -1):
            there = self._answers.get(self._index.get(keys[offset], (-1, 0))[0])
            if answer.place.limit == _GUESS and there and there.place.limit != _GUESS:
                continue
            self._index[keys[offset]] = (number, offset)
        while self.size > self._limit:
            self._forget(next(iter(self._answers)))

    def _find(self, place: Place) -> Known | None:
        number, offset = self._index.get(_key(place.group, place.tail), (-1, 0))
        answer = self._answers.get(number)
        if answer is None or answer.place.group != place.group or answer.tail(offset) != place.tail:
            return None  # another text with the same hash
        self._answers.move_to_end(number)
        same = offset == 0 and answer.place.limit == place.limit
        tokens, aligned = behind(answer.tokens, len(answer.text[:offset].encode()))
        return Known(tokens, answer.text[offset:], answer.ended or same, answer.ended, aligned, offset > 0)

    def _keys(self, answer: _Answer) -> list[int]:
        # Not at the end of an answer: what follows is unknown. An empty answer is found at its start.
        reach = min(REACH, max(1, len(answer.text)))
        return [_key(answer.place.group, answer.tail(offset)) for offset in range(reach)]

    def _forget(self, number: int) -> None:
        answer = self._answers.pop(number)
        self.size -= answer.size
        for key in self._known_by.pop(number):
            if self._index.get(key, (-1, 0))[0] == number:
                del self._index[key]


def _key(group: Hashable, tail: str) -> int:
    return hash((group, tail))


def behind(tokens: Sequence[Token], skip: int) -> tuple[tuple[Token, ...], bool]:
    """Return the tokens after the first `skip` bytes, and whether the first of them is whole."""
    for number, token in enumerate(tokens):
        if skip < len(token.data):
            first = replace(token, data=token.data[skip:])
            return (first, *tokens[number + 1 :]), skip == 0
        skip -= len(token.data)
    return (), True
