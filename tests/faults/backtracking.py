"""Find repeats in a pattern that try many ends: their characters also match the repeat or alternation after them."""

import importlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

_parser, _compiler = importlib.import_module("re._parser"), importlib.import_module("re._compiler")
_SAMPLE = [*map(chr, range(0x180)), "\u0301", "\u2028", "あ"]
_SINGLE = {"LITERAL", "NOT_LITERAL", "IN", "ANY"}
_BACKTRACKING = {"MAX_REPEAT", "MIN_REPEAT"}
_SHORT = 16  # ends that a repeat may try
Item = tuple[Any, Any]


class Backtracking:
    """The parse tree of a pattern."""

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        self._pattern = pattern
        self._tree = _parser.parse(pattern.pattern, pattern.flags)

    def slow(self) -> list[str]:
        """Return the repeats that try many ends."""
        return [str(item) for item in self._slow([*self._tree], [])]

    def _slow(self, items: Sequence[Item], after: Sequence[Item], *, once: bool = False) -> Iterator[Item]:
        """`after`: the items after these; `once`: they match at one position of a text."""
        begins = items and str(items[0][1]).startswith("AT_BEGINNING")
        once = once or (bool(begins) and not self._pattern.flags & re.MULTILINE)
        for at, (code, value) in enumerate(items):
            kind, rest = str(code), [*items[at + 1 :], *after]
            if kind.endswith("_REPEAT"):
                least, most, body = value
                is_long = most is _parser.MAXREPEAT or (not once and most - least > _SHORT)
                if kind in _BACKTRACKING and is_long and self._meets(rest, self._first([*body])):
                    yield code, value
                again = [(code, value), *rest] if most > 1 else rest
                yield from self._slow([*body], again if kind in _BACKTRACKING else [], once=once)
            for branch in _branches(kind, value):
                yield from self._slow(branch, [] if kind == "ATOMIC_GROUP" else rest, once=once)
            if kind.startswith("ASSERT"):
                yield from self._slow([*value[1]], [], once=once)

    def _meets(self, items: Sequence[Item], characters: frozenset[str], *, beside: bool = True) -> bool:
        """Return whether text of these characters reaches a repeat, or an alternation directly beside it."""
        for at, (code, value) in enumerate(items):
            kind = str(code)
            if branches := [[*branch, *items[at + 1 :]] for branch in _branches(kind, value)]:
                if beside and kind == "BRANCH":
                    return any(self._first(branch) & characters for branch in branches)
                return any(self._meets(branch, characters, beside=beside) for branch in branches)
            least, most = value[:2] if kind.endswith("_REPEAT") else (int(kind in _SINGLE), 1)
            if self._first([(code, value)]) & characters:
                if kind not in _SINGLE and (beside or most - least > 1):
                    return True
                beside = False
            elif least:
                return False
        return False

    def _first(self, items: Sequence[Item]) -> frozenset[str]:
        """Return the characters with which a match of these items may begin."""
        found = frozenset[str]()
        for at, (code, value) in enumerate(items):
            kind = str(code)
            if kind in _SINGLE:
                return found | self._matching((code, value))
            if branches := _branches(kind, value):
                return found.union(*(self._first([*branch, *items[at + 1 :]]) for branch in branches))
            if kind.endswith("_REPEAT"):
                found |= self._first([*value[2]])
                if value[0]:
                    return found
        return found

    def _matching(self, item: Item) -> frozenset[str]:
        """Return the characters that an item matches."""
        compiled = _compiler.compile(_parser.SubPattern(self._tree.state, [item]), self._pattern.flags)
        is_text = isinstance(self._pattern.pattern, str)
        return frozenset(
            sign for sign in _SAMPLE if compiled.match(sign if is_text else sign.encode("latin-1", "ignore"))
        )


def _branches(kind: str, value: Any) -> list[list[Item]]:
    """Return the alternatives of a group or an alternation."""
    match kind:
        case "SUBPATTERN":
            branches = [value[3]]
        case "ATOMIC_GROUP":
            branches = [value]
        case "BRANCH":
            branches = value[1]
        case _:
            branches = []
    return [[*branch] for branch in branches]
