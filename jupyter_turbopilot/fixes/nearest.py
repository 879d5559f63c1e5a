"""The nearest of some names: misspellings, other case, accents, white space or order, plurals. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Literal

from rapidfuzz.distance import OSA

from jupyter_turbopilot.analysis.resolve import EVERYWHERE
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from collections.abc import Set as AbstractSet

SHORTEST = 4  # characters of a name; almost any shorter name is near another one
LONGEST = 100  # characters
# Between words in camel case; the unit "kWh" is one word.
_CAMEL = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])(?!(?<=(?<![^\W_])[a-z])[A-Z][a-z]?(?![^\W_]))")
_ACCENT = re.compile("[\u0300-\u036f]")  # of Latin, Greek and Cyrillic letters; others are not optional
_STROKES = str.maketrans({"ø": "o\u0338", "ł": "l\u0335", "đ": "d\u0335"})  # without a decomposition
_TOKEN = re.compile(r"\d+|[^\W\d_]+|[^\w\s.-]")
_SIBILANTS = ("s", "x", "z", "ch", "sh")
_UNREACHABLE = 100.0
_ACCENTS, _PLURAL, _REORDERED, _OMITTED = 0.4, 0.5, 1.0, 2.0  # costs; an edit costs 1
_CONFIDENCE = ((0.0, 0.97), (1.0, 0.9), (1.5, 0.75), (2.0, 0.7), (3.0, 0.55))  # by the largest cost
_MOST = (
    (2, 0.0),
    (4, _ACCENTS),
    (7, 1.0),
    (8, 1.5),
    (12, 2.0),
    (LONGEST + 1, 3.0),
)  # cost, by the length that is too long
_NUMBER = "0"  # stands for any number
_NO_SYMBOLS = frozenset("deopqruy")  # letters that are no common unit, index or coordinate
_NAME, _GROUP = 5, 2  # operations for a name of an index, and for a group that is not near


class NameIndex:
    """Names for several searches, in groups: the names of a group differ in numbers and separators only.

    A table may have thousands of numbered columns, which are compared with a word at once.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {name for name in names if len(name) <= LONGEST}
        groups: dict[tuple[str, ...], dict[tuple[str, ...], list[str]]] = defaultdict(
            lambda: defaultdict(list)
        )
        count_operations(sum(_NAME + len(name) // 6 for name in self._names))
        for name in self._names:
            if tokens := _tokens(name):
                groups[_without_numbers(tokens)][_numbers(tokens)].append(name)
        self._groups: dict[_Words, dict[tuple[str, ...], list[str]]] = {
            _Words(tokens): members for tokens, members in groups.items()
        }

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def nearest(self, word: str, kind: Literal["name", "key", "file"] = "name") -> tuple[str, float] | None:
        """Return the only near name and a confidence, or None; a word is not near itself.

        Short names, names that differ only in digits, and several nearly equally near names give None.
        """
        least = SHORTEST if kind == "name" else 1
        if not least <= len(word) <= LONGEST:
            return None
        tokens = _tokens(word)
        if not any(map(str.isalpha, tokens)):
            return None
        search = _Search(_max_cost(len("".join(tokens))))
        words = _Words(_without_numbers(tokens))
        count_operations(len(self._groups) * _GROUP)
        for others, members in self._groups.items():
            if not _is_alike(words.letters, others.letters):
                continue
            names = {
                numbers: near
                for numbers, each in members.items()
                if (near := [name for name in each if name != word and least <= len(name) <= 2 * len(word)])
            }
            for cost, name in _costs(tokens, others, names, search.limit, may_omit=kind == "key"):
                search.add(cost, name)
        if not search.name or search.is_ambiguous:
            return None
        other = _tokens(search.name)
        if _numbers(tokens) != _numbers(other):
            return None
        if search.cost > _max_cost(min(len("".join(tokens)), len("".join(other)))):
            return None
        return search.name, next(confidence for most, confidence in _CONFIDENCE if search.cost <= most)


def nearest(
    word: str, names: Iterable[str], *, kind: Literal["name", "key", "file"] = "name"
) -> tuple[str, float] | None:
    """Return the only near name and a confidence, or None."""
    return NameIndex(names).nearest(word, kind)


def nearest_short(word: str, names: Iterable[str]) -> tuple[str, float] | None:
    """Return the only name of four letters from which a short word differs by a missing or doubled letter.

    Of names of three letters, only a doubled one counts, as in `maxx`. A missing letter is a vowel within the
    name, or an "s" at its end: other short words mean something else.
    This suits the names of an interface; the short names of a user are too similar.
    """
    known = {*names}
    doubled = (at for at in range(1, len(word)) if word[at] == word[at - 1])
    found = {word[:at] + word[at + 1 :] for at in doubled} & known
    if found:  # a doubled letter is too many, unless another letter is wrong, as in `coss` for `cosh`
        others = (name for name in known if len(name) == len(word))
        is_only = len(found) == 1 and not any(sum(map(str.__ne__, word, name)) == 1 for name in others)
        return (found.pop(), 0.7) if is_only and len(word) == SHORTEST else None
    found = {
        name
        for name in known
        if len(name) == SHORTEST
        for at in range(1, SHORTEST)
        for letter in ("", name[at - 1], name[at + 1 : at + 2])
        if name[:at] + letter + name[at + 1 :] == word != name
        and (letter or name[at] in ("s" if at == SHORTEST - 1 else "aeiou"))
    }
    return (found.pop(), 0.7) if len(found) == 1 else None


def nearest_of_interface(word: str, names: Collection[str]) -> tuple[str, float] | None:
    """Return the nearest documented name and a confidence, or None; it may be short."""
    return nearest(word, names) or nearest_short(word, names)


def nearest_of_few(word: str, names: Collection[str]) -> tuple[str, float] | None:
    """Return the nearest of a few documented names, as `sum` for `sun`, if other names certainly fail.

    The name of a built-in function, such as `list`, is not misspelled.
    """
    is_other = len(word) < SHORTEST - 1 or word in EVERYWHERE
    one_edit = [] if is_other else [name for name in names if _edits(word, name, _OMITTED) == 1]
    near = nearest_of_interface(word, names)
    return near or ((one_edit[0], 0.7) if len(one_edit) == 1 else None)


class _Search:
    """The nearest name so far. `limit`: names with this cost or a larger one do not change the result."""

    def __init__(self, most: float) -> None:
        self.name = ""
        self.cost = self._second = _UNREACHABLE
        self.limit = _least_of_others(most)

    @property
    def is_ambiguous(self) -> bool:
        """Return whether another name is nearly as near."""
        return self._second < _least_of_others(self.cost)

    def add(self, cost: float, name: str) -> None:
        """Compare a further name."""
        if cost >= self.limit:
            return
        if (cost, name) < (self.cost, self.name):
            self.cost, self.name, cost = cost, name, self.cost
        self._second = min(self._second, cost)
        # If the nearest name is not the only one, only a nearer one can be.
        self.limit = min(self.limit, self.cost if self.is_ambiguous else _least_of_others(self.cost))


def _least_of_others(cost: float) -> float:
    """Return the least cost of the other names if a name with this cost is the only near one."""
    return max(cost + _ACCENTS, 2 * cost)


class _Words:
    """The words of a name, with the same text for all numbers."""

    def __init__(self, tokens: tuple[str, ...]) -> None:
        self.tokens = tokens
        self.number_positions = tuple(token == _NUMBER for token in tokens)
        self.letters = frozenset("".join(_without_accents(tokens)[0])) - {_NUMBER}


def _is_alike(letters: AbstractSet[str], others: AbstractSet[str]) -> bool:
    """Return whether a name with these letters may be near: not more of them differ than there are."""
    return len(letters ^ others) <= len(letters)


def _costs(
    tokens: list[str],
    others: _Words,
    names: dict[tuple[str, ...], list[str]],
    limit: float,
    *,
    may_omit: bool,
) -> Iterator[tuple[float, str]]:
    """Yield the names of a group with their costs; of those with other numbers, only a nearest one."""
    count_operations(3 + len(others.letters) // 4)
    texts, numbers = _without_numbers(tokens), _numbers(tokens)
    number_positions = tuple(token == _NUMBER for token in texts)
    if number_positions == others.number_positions:
        cost = _cost([*texts], [*others.tokens], limit, may_omit=may_omit)
        yield from ((cost, name) for name in names.get(numbers, ()))
        if cost + 1 >= limit:
            return
        count_operations(len(names))
        differences = (
            (cost + sum(map(str.__ne__, numbers, each)), near[0])
            for each, near in names.items()
            if each != numbers
        )
        if found := next((one for one in differences if one[0] <= cost + 1), None):
            yield found
        return
    count_operations(len(names) * _NAME)
    letters = {*"".join(_without_accents(tokens)[0])}
    for each, near in names.items():
        full = iter(each)
        other = [next(full) if token == _NUMBER else token for token in others.tokens]
        if not _is_alike(letters, {*"".join(_without_accents(other)[0])}):
            continue
        cost = _cost(tokens, other, limit, may_omit=may_omit)
        yield from ((cost, name) for name in near)


def _tokens(name: str) -> list[str]:
    """Split a name into lower-case words, numbers and signs; white space, `_`, `-` and `.` separate words."""
    words = name if name.islower() else _CAMEL.sub("_", name).casefold()
    return _TOKEN.findall(unicodedata.normalize("NFC", words))


def _numbers(tokens: Iterable[str]) -> tuple[str, ...]:
    return tuple(token for token in tokens if token.isdigit())


def _without_numbers(tokens: Iterable[str]) -> tuple[str, ...]:
    return tuple(_NUMBER if token.isdigit() else token for token in tokens)


def _max_cost(length: int) -> float:
    """Return the largest cost of a name of this length."""
    return next(most for end, most in _MOST if length < end)


def _without_accents(tokens: Iterable[str]) -> tuple[list[str], Counter[str]]:
    """Return the tokens without their accents, and the accents."""
    plain, accents = [*tokens], Counter[str]()
    for at, token in enumerate(plain):
        if not token.isascii():
            count_operations(1 + len(token) // 4)
            decomposed = unicodedata.normalize("NFD", token).translate(_STROKES)
            # Composed again, so that a syllable of Korean remains one letter.
            plain[at] = unicodedata.normalize("NFC", _ACCENT.sub("", decomposed))
            accents.update(_ACCENT.findall(decomposed))
    return [token for token in plain if token], accents


def _cost(tokens: list[str], others: list[str], limit: float, *, may_omit: bool) -> float:
    """Return the edit distance of two names; at or above the limit, any such value."""
    cost = _cost_with_accents(tokens, others, limit, may_omit=may_omit)
    plain, accents = _without_accents(tokens)
    other_plain, other_accents = _without_accents(others)
    # Accents may be missing; a letter with another accent is another letter.
    is_missing = accents != other_accents and (accents <= other_accents or other_accents <= accents)
    if is_missing and plain and other_plain:
        without = _cost_with_accents(plain, other_plain, limit - _ACCENTS, may_omit=may_omit)
        return min(cost, without + _ACCENTS)
    return cost


def _cost_with_accents(tokens: list[str], others: list[str], limit: float, *, may_omit: bool) -> float:
    one, other = "".join(tokens), "".join(others)
    if one == other:
        return 0.0
    if sorted(tokens) == sorted(others):
        return _REORDERED
    if other[:-1] == one and tokens[:-1] == others[:-1] and tokens[-1] in _NO_SYMBOLS:
        return 1.0  # as of "built_yr" without its last letter
    if len(tokens) == len(others):
        cost = 0.0
        pairs = [pair for pair in zip(tokens, others, strict=True) if pair[0] != pair[1]]
        for pair in pairs:
            cost += _token_cost(*pair, limit - cost, is_only=len(pairs) == 1)
            if cost >= limit:
                break
        return cost
    shorter, longer = sorted((tokens, others), key=len)
    if len(shorter) > 1 and len(longer) == len(shorter) + 1 and {*shorter} < {*longer}:
        return _OMITTED if may_omit else _UNREACHABLE
    # Words may have been joined.
    return _token_cost(one, other, limit)


def _token_cost(one: str, other: str, limit: float, *, is_only: bool = True) -> float:
    """Return the distance of two words; edits that often give another word cost more.

    `is_only`: no other word of the two names is different.
    """
    short, long = sorted((one, other), key=len)
    if one == other or short.isdigit() or long.isdigit():
        return float(one != other)
    if long in {f"{short}s", f"{short[:-1]}ies"} or (long == f"{short}es" and short.endswith(_SIBILANTS)):
        return _PLURAL
    if long in {f"{short}d", f"{short}r"} and long[-1] != short[-1]:
        return _UNREACHABLE  # `scale`, `scaled` and `scaler`
    cost = _edits(one, other, limit)
    if len(long) < SHORTEST and not _is_misspelled(one, other, cost, is_only=is_only):
        return _UNREACHABLE
    if len(one) != len(other):
        return cost + 0.5 * (one[0] != other[0])
    # `x_test` and `y_test`, `price_eur` and `price_usd`, `data` and `date`
    swaps = sorted(one) == sorted(other)
    different_start = one[0] != other[0] and one[:2] != other[1::-1]
    different_end = one[-1] != other[-1] and one[-2:] != other[:-3:-1]
    return cost + 0.5 * ((not swaps and len(one) == SHORTEST) + different_start + different_end)


def _is_misspelled(one: str, other: str, cost: float, *, is_only: bool) -> bool:
    """Return whether a short word may be another one with swapped, doubled or missing letters."""
    if len(one) == len(other):
        return sorted(one) == sorted(other)
    # The unit "kW" may be "kWh" with a missing letter; "kWh" is neither "kW" nor "Wh".
    misses = is_only and len(one) < len(other) and one[0] == other[0]
    return cost == 1 and len(one) > 1 and (misses or {*one} == {*other})


def _edits(one: str, other: str, limit: float) -> int:
    """Return the optimal string alignment distance; at or above the limit, any such value."""
    count_operations(2)
    return OSA.distance(one, other, score_cutoff=int(limit))
