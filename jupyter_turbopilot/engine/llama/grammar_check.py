"""Refuses grammars that llama.cpp would not survive, by doing within bounds what llama.cpp does. Pure.

llama.cpp looks for left recursion without remembering where it has been, and follows all ways of parsing a
text at once. Both can take unlimited time and memory. Here the rules are gone through in the same way, and
texts are tried that can be parsed in as many ways as possible.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import remembered
from jupyter_turbopilot.engine.llama.gbnf import OFTEN, GrammarError, Rules, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_WAYS = 1024  # of continuing at one place
MOST_READINGS = 2000  # of one token; those of letters that few tokens have count less
COMMON = 64  # where so many letters may stand, it is as if any might
LONGEST_TOKEN = 24
WORK = 200_000  # steps until a grammar is too large to be checked
LETTERS = 48  # that are tried at one place
WALK = 3 * LONGEST_TOKEN
_END = -1  # of an alternative


@remembered(2**20)
def refusal(grammar: str) -> str:
    """Return why a grammar is refused; an empty text where it is not."""
    try:
        rules = parse(grammar)
        _refuse_left_recursion(rules)
        stacks = _Stacks(rules)
        for rule in rules.branching:
            stacks.walk(rule)
    except GrammarError as refused:
        return str(refused)
    return ""


def _leftmost(grammar: Rules) -> dict[int, list[int]]:
    """Return the rules that each rule may begin with, repeated as often as llama.cpp goes into them."""
    empty = {number for number, alternatives in grammar.rules.items() if not all(alternatives)}
    leftmost: dict[int, list[int]] = {}
    for number, alternatives in grammar.rules.items():
        leftmost[number] = []
        for alternative in alternatives:
            for element in alternative:
                if element < 0:
                    break
                leftmost[number].append(element)
                if element not in empty:
                    break
    return leftmost


def _refuse_left_recursion(grammar: Rules) -> None:
    """Go through the rules as llama.cpp does, which goes into a rule again wherever it stands."""
    leftmost, left = _leftmost(grammar), WORK
    visited: set[int] = set()
    for start in grammar.rules:
        if start in visited:
            continue
        inside, path = {start}, [(start, iter(leftmost[start]))]
        while path:
            rule, rest = path[-1]
            left -= 1
            if not left or len(path) > OFTEN:
                raise GrammarError(
                    "The grammar's rules begin with each other in too many ways. Simplify them."
                )
            if (following := next(rest, None)) is None:
                path.pop()
                inside.discard(rule)
                visited.add(rule)
                continue
            if following in inside:
                raise GrammarError("The grammar is left recursive: a rule begins with itself.")
            inside.add(following)
            path.append((following, iter(leftmost[following])))


class _Stacks:
    """The ways in which a text can continue, as llama.cpp keeps them: stacks of places in the rules.

    A stack is a number, its top and what is below it; 0 is the empty one.
    """

    def __init__(self, grammar: Rules) -> None:
        self._grammar = grammar
        self._elements: list[int] = []
        self._starts: dict[int, list[int]] = {}
        for rule, alternatives in grammar.rules.items():
            self._starts[rule] = []
            for alternative in alternatives:
                self._starts[rule].append(len(self._elements))
                self._elements += [*alternative, _END]
        self._stacks: dict[tuple[int, int], int] = {}
        self._below, self._top = [0], [0]
        self._known: dict[int, tuple[int, ...]] = {}
        self._left = WORK
        self._matches = cache(self._find_match)
        self._breadth = cache(self._find_breadth)

    def _stack(self, below: int, place: int) -> int:
        """Return the stack with a place on top, or what is below where nothing stands there."""
        if self._elements[place] == _END:
            return below
        if (below, place) not in self._stacks:
            self._stacks[below, place] = len(self._top)
            self._below.append(below)
            self._top.append(place)
        return self._stacks[below, place]

    def _advance(self, *stacks: int) -> tuple[int, ...]:
        """Return the stacks with a character on top, or empty ones, that these lead to."""
        if len(stacks) == 1 and stacks[0] in self._known:
            return self._known[stacks[0]]
        waiting, seen, to_do = [], set(), [*stacks]
        while to_do:
            stack = to_do.pop()
            if stack in seen:
                continue
            seen.add(stack)
            self._left -= 1
            if self._left < 0 or len(seen) > 8 * MOST_WAYS:
                raise GrammarError("The grammar is too large or too ambiguous. Simplify it.")
            element = self._elements[self._top[stack]]
            if not stack or element < _END:
                waiting.append(stack)
                continue
            below = self._stack(self._below[stack], self._top[stack] + 1)
            to_do += [self._stack(below, start) for start in self._starts[element]]
        if len(waiting) > MOST_WAYS:
            raise GrammarError(
                f"The grammar is too ambiguous: it can continue in more than {MOST_WAYS} ways at one place."
            )
        if len(stacks) == 1:
            self._known[stacks[0]] = tuple(waiting)
        return tuple(waiting)

    def walk(self, rule: int) -> None:
        """Write a text, starting at a rule, that can be parsed in as many ways as possible."""
        ways = dict.fromkeys(self._advance(*(self._stack(0, start) for start in self._starts[rule])), 1)
        seen = set()
        for step in range(WALK):
            if step % LONGEST_TOKEN == 0:
                ways, spent = dict.fromkeys(ways, 1), 0.0
            letter = self._most_read(ways)
            following: dict[int, int] = {}
            for stack, readings in ways.items():
                element = self._elements[self._top[stack]]
                if not stack or not self._matches(element, letter):
                    continue
                spent += readings * self._breadth(element)
                after = self._stack(self._below[stack], self._top[stack] + 1)
                for reached in self._advance(after):
                    following[reached] = following.get(reached, 0) + readings
            ways = following
            if len(ways) > MOST_WAYS or spent > MOST_READINGS:
                raise GrammarError("The grammar is too ambiguous: a short text can be read in too many ways.")
            state = frozenset(ways.items())
            if state in seen:
                return  # nothing grows here
            seen.add(state)

    def _most_read(self, ways: dict[int, int]) -> int:
        """Return the character that most of these ways can continue with."""
        readings: dict[int, int] = {}
        for stack, count in ways.items():
            if stack:
                element = self._elements[self._top[stack]]
                readings[element] = readings.get(element, 0) + count
        self._left -= len(ways)
        best, most = 0, 0
        letters = dict.fromkeys(letter for element in readings for letter in self._letters(element))
        for letter in list(letters)[:LETTERS]:
            self._left -= len(readings) // 4
            total = sum(count for element, count in readings.items() if self._matches(element, letter))
            if total > most:
                best, most = letter, total
        return best

    def _letters(self, element: int) -> Iterator[int]:
        characters = self._grammar.character(element)
        if characters.negated:
            yield from (code for code in map(ord, "a0 \x01") if characters.has(code))
        else:
            yield from (low for low, _ in characters.ranges[:8])

    def _find_match(self, element: int, letter: int) -> bool:
        return self._grammar.character(element).has(letter)

    def _find_breadth(self, element: int) -> float:
        """Estimate the share of all tokens that may continue a text at an element."""
        ranges, negated = self._grammar.character(element)
        return 1.0 if negated else min(1.0, sum(high - low + 1 for low, high in ranges) / COMMON)
