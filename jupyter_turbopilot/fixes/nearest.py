"""The nearest of some names: misspellings, other case or white space, plurals, reordered words. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SHORTEST = 4  # characters of a name; almost any shorter name is near another one
LONGEST = 100  # characters
_CAMEL = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])")
_TOKEN = re.compile(r"\d+|[^\W\d_]+|[^\w\s.-]")
_SIBILANTS = ("s", "x", "z", "ch", "sh")
_FAR = 100.0
_PLURAL, _REORDERED, _OMITTED = 0.5, 1.0, 2.0  # costs; an edit costs 1
_CONFIDENCE = ((0.0, 0.97), (1.0, 0.9), (1.5, 0.75), (2.0, 0.7), (3.0, 0.55))  # by the largest cost
_MOST = ((4, 0.0), (7, 1.0), (8, 1.5), (12, 2.0), (LONGEST + 1, 3.0))  # cost, by the length that is too long

_MOST_EDITS = 6  # twice the largest cost of a near candidate: the others must be further away


def nearest(
    word: str, candidates: Iterable[str], *, kind: Literal["name", "key", "file"] = "name"
) -> tuple[str, float] | None:
    """Return the only near candidate and a confidence, or None.

    Short names, names that differ only in digits, and several nearly equally near candidates give None.
    """
    tokens = _tokens(word)
    least = SHORTEST if kind == "name" else 1
    if not least <= len(word) <= LONGEST or not any(map(str.isalpha, tokens)):
        return None
    letters = set("".join(tokens))
    found: list[tuple[float, str]] = []
    for candidate in {*candidates} - {word}:
        if not least <= len(candidate) <= LONGEST or abs(len(candidate) - len(word)) > len(word):
            continue
        others = _tokens(candidate)
        if len(letters.symmetric_difference("".join(others))) > len(letters):
            continue
        if (cost := _cost(tokens, others, may_omit=kind == "key")) < _FAR:
            found.append((cost, candidate))
    if not found:
        return None
    (best, name), *further = sorted(found)
    if further and further[0][0] < max(best + 0.5, 2 * best):
        return None
    if _digits(tokens) != _digits(_tokens(name)):
        return None
    length = min(len("".join(tokens)), len("".join(_tokens(name))))
    if best > next(most for end, most in _MOST if length < end):
        return None
    return name, next(confidence for most, confidence in _CONFIDENCE if best <= most)


def _tokens(name: str) -> list[str]:
    """Split a name into lower-case words, numbers and signs; white space, `_`, `-` and `.` separate words."""
    return _TOKEN.findall(_CAMEL.sub("_", name).casefold())


def _digits(tokens: Sequence[str]) -> list[str]:
    return [token for token in tokens if token.isdigit()]


def _cost(tokens: list[str], others: list[str], *, may_omit: bool) -> float:
    """Return the distance of two names, in edits."""
    one, other = "".join(tokens), "".join(others)
    if one == other:
        return 0.0
    if sorted(tokens) == sorted(others):
        return _REORDERED
    if len(tokens) == len(others):
        return sum(_token_cost(*pair) for pair in zip(tokens, others, strict=True))
    shorter, longer = sorted((tokens, others), key=len)
    if len(shorter) > 1 and len(longer) == len(shorter) + 1 and {*shorter} < {*longer}:
        return _OMITTED if may_omit else _FAR
    # Words may have been joined.
    return _token_cost(one, other)


def _token_cost(one: str, other: str) -> float:
    """Return the distance of two words; edits that often give another word cost more."""
    short, long = sorted((one, other), key=len)
    if one == other or short.isdigit() or long.isdigit():
        return float(one != other)
    if long in {f"{short}s", f"{short[:-1]}ies"} or (long == f"{short}es" and short.endswith(_SIBILANTS)):
        return _PLURAL
    if long in {f"{short}d", f"{short}r"} and long[-1] != short[-1]:
        return _FAR  # `scale`, `scaled` and `scaler`
    cost = _edits(one, other)
    if len(one) != len(other):
        is_short = len(long) < SHORTEST and (cost > 1 or len(short) == 1)
        return _FAR if is_short else cost + 0.5 * (one[0] != other[0])
    # `x_test` and `y_test`, `price_eur` and `price_usd`, `data` and `date`
    swaps = sorted(one) == sorted(other)
    if not swaps and len(one) < SHORTEST:
        return _FAR
    different_start = one[0] != other[0] and one[:2] != other[1::-1]
    different_end = one[-1] != other[-1] and one[-2:] != other[:-3:-1]
    return cost + 0.5 * ((not swaps and len(one) == SHORTEST) + different_start + different_end)


def _edits(one: str, other: str) -> int:
    """Return the number of inserted, removed and replaced characters and swapped neighbours.

    Numbers above `_MOST_EDITS` are not exact: a table may have thousands of long labels.
    """
    pairs = enumerate(zip(one, other, strict=False))
    same = next((n for n, (letter, wanted) in pairs if letter != wanted), min(len(one), len(other)))
    one, other = one[same:], other[same:]
    before: list[int] = []
    row: list[int] = [*range(len(other) + 1)]
    for at, letter in enumerate(one):
        before, last, row = row, before, [at + 1, *[_MOST_EDITS] * len(other)]
        for to in range(max(0, at - _MOST_EDITS), min(len(other), at + _MOST_EDITS + 1)):
            wanted = other[to]
            least = min(before[to] + (letter != wanted), before[to + 1] + 1, row[to] + 1)
            if at and to and letter == other[to - 1] and one[at - 1] == wanted:
                least = min(least, last[to - 1] + 1)
            row[to + 1] = least
        if min(row) >= _MOST_EDITS:
            break
    return max(row[-1], abs(len(one) - len(other)))
