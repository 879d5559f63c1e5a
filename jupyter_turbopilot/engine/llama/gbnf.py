"""Refuses grammars that llama.cpp would not survive, by doing within bounds what llama.cpp does. Pure.

llama.cpp expands repetitions, looks for left recursion without remembering where it has been, and follows all
ways of going on at once. Each can take unlimited time and memory. Here a grammar is expanded and looked
through in the same way, and texts are tried that can be read in as many ways as possible.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import remembered

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST = 128  # groups within groups; some thousands end the process
OFTEN = 2000  # llama.cpp's own limit of how often something may be repeated
LARGEST = 200_000  # elements, once repetitions are written out
MOST_WAYS = 1024  # of going on at one place
MOST_READINGS = 2000  # of one token, those of letters that few tokens have counted less
COMMON = 64  # letters that may stand at a place, and it is as if any might
LONGEST_TOKEN = 24
LONGEST_NAME = 256  # of a token in a grammar
WORK = 200_000  # steps until a grammar is too large to be looked through
LETTERS = 48  # that are tried at one place
WALK = 3 * LONGEST_TOKEN

_BLANKS = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_NAME = re.compile(r"[a-zA-Z0-9-]++")
_DIGITS = re.compile(r"[0-9]++")
_CHAR = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([trn\\\"\[\]-]))|([^\\])", re.DOTALL
)
_TOKEN = re.compile(rf"!?<(?:\[[0-9]{{1,9}}\]|[^>\[][^>]{{0,{LONGEST_NAME}}})>")
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n"}
_SIGNS = {"*": (0, None), "+": (1, None), "?": (0, 1)}

Range = tuple[int, int]
END = -1  # of an alternative; elements are rules from 0 on, or characters from -2 down


class _RefusedError(Exception):
    """Why a grammar is refused."""


@remembered(2**20)
def trouble(grammar: str) -> str:
    """Say why a grammar is refused; nothing where it is not."""
    try:
        rules = _Reader(grammar)
        _look_for_left_recursion(rules)
        ways = _Ways(rules)
        for rule in rules.worth_a_walk:
            ways.walk(rule)
    except _RefusedError as refused:
        return str(refused)
    return ""


class _Reader:
    """A grammar's rules, repetitions written out: a list of elements for each alternative."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.names: dict[str, int] = {}
        self.rules: dict[int, list[list[int]]] = {}
        self.characters: list[tuple[tuple[Range, ...], bool]] = []  # ranges, and whether all but those
        self.worth_a_walk: list[int] = []
        self._numbers: dict[tuple[tuple[Range, ...], bool], int] = {}
        self._count = 0
        self._size = 0
        if "\0" in text:
            raise _RefusedError("The grammar holds a NUL character.")
        self._skip(_LINES)
        while self.at < len(text):
            self._rule()
        if "root" not in self.names:
            raise _RefusedError("The grammar has no rule `root`.")
        for name, number in self.names.items():
            if number not in self.rules:
                raise _RefusedError(f"The grammar's rule `{name[:80]}` is not defined.")

    def _refuse(self, wanted: str) -> _RefusedError:
        line = self.text.count("\n", 0, self.at) + 1
        return _RefusedError(f"The grammar is not valid GBNF: line {line} needs {wanted}.")

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _take(self, pattern: re.Pattern[str], wanted: str) -> re.Match[str]:
        found = pattern.match(self.text, self.at)
        if not found:
            raise self._refuse(wanted)
        self.at = found.end()
        return found

    def _new(self) -> int:
        self._count += 1
        return self._count - 1

    def _named(self, name: str) -> int:
        if name not in self.names:
            self.names[name] = self._new()
        return self.names[name]

    def _grow(self, elements: int) -> None:
        self._size += elements
        if self._size > LARGEST:
            raise _RefusedError(
                f"The grammar comes to more than {LARGEST} elements once its repetitions are written out."
            )

    def _rule(self) -> None:
        rule = self._named(self._take(_NAME, "the name of a rule")[0])
        self._skip(_BLANKS)
        if not self.text.startswith("::=", self.at):
            raise self._refuse("`::=`")
        self.at += 3
        self._skip(_LINES)
        self._alternatives(rule, 0)
        if self.at < len(self.text) and self.text[self.at] not in "\r\n":
            raise self._refuse("the end of the rule")
        self._skip(_LINES)

    def _alternatives(self, rule: int, depth: int) -> None:
        if depth > DEEPEST:
            raise _RefusedError(f"The grammar has more than {DEEPEST} groups within each other.")
        self.worth_a_walk.append(rule)
        found = [self._sequence(depth)]
        while self.text.startswith("|", self.at):
            self.at += 1
            self._skip(_LINES)
            found.append(self._sequence(depth))
        self.rules[rule] = found

    def _sequence(self, depth: int) -> list[int]:
        found: list[int] = []
        last, copies = 0, 1  # where what may be repeated begins; what llama.cpp counts of it
        blanks = _LINES if depth else _BLANKS
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in "*+?{":
                fewest, most = self._times() if char == "{" else _SIGNS[char]
                self.at += char != "{"
                copies = self._repeat(found, last, copies, fewest, most)
            else:
                before, begun = self._count, len(found)
                if not self._element(char, found, depth):
                    break
                last, copies = begun, max(1, self._count - before) if char == "(" else 1
            self._skip(blanks)
        return found

    def _element(self, char: str, found: list[int], depth: int) -> bool:
        """Read what a sequence is made of; tell whether there was any."""
        if char == '"':
            self.at += 1
            while not self.text.startswith('"', self.at):
                code = self._char()
                found.append(self._character(((code, code),), negated=False))
            self.at += 1
        elif char == "[":
            found += self._class()
        elif char in "<!":
            self._take(_TOKEN, f"a token in `<>` of at most {LONGEST_NAME} characters")
            found.append(self._character((), negated=True))
        elif char == ".":
            self.at += 1
            found.append(self._character((), negated=True))
        elif char == "(":
            self.at += 1
            self._skip(_LINES)
            group = self._new()
            self._alternatives(group, depth + 1)
            if not self.text.startswith(")", self.at):
                raise self._refuse("`)`")
            self.at += 1
            found.append(group)
            self._grow(1)
        elif name := _NAME.match(self.text, self.at):
            self.at = name.end()
            found.append(self._named(name[0]))
            self._grow(1)
        else:
            return False
        return True

    def _char(self) -> int:
        found = self._take(_CHAR, "a character, or the end of what was begun")
        if code := found[1] or found[2] or found[3]:
            return int(code, 16)
        return ord(_ESCAPES.get(found[4], found[4]) if found[4] else found[5])

    def _class(self) -> list[int]:
        self.at += 1
        negated = self.text.startswith("^", self.at)
        self.at += negated
        ranges: list[Range] = []
        while not self.text.startswith("]", self.at):
            low = high = self._char()
            if self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at):
                self.at += 1
                high = self._char()
            ranges.append((low, high))
        self.at += 1
        return [self._character(tuple(ranges), negated=negated)] if ranges else []

    def _character(self, ranges: tuple[Range, ...], *, negated: bool) -> int:
        self._grow(max(1, 2 * len(ranges)))
        key = (ranges, negated)
        if key not in self._numbers:
            self._numbers[key] = len(self.characters)
            self.characters.append(key)
        return -2 - self._numbers[key]

    def _times(self) -> tuple[int, int | None]:
        self.at += 1
        self._skip(_LINES)
        low: int = self._number()
        high: int | None = low
        if self.text.startswith(",", self.at):
            self.at += 1
            self._skip(_LINES)
            high = self._number() if _DIGITS.match(self.text, self.at) else None
        if not self.text.startswith("}", self.at):
            raise self._refuse("`}`")
        self.at += 1
        if low > OFTEN:
            raise _RefusedError(f"The grammar repeats something more than {OFTEN} times.")
        if high is not None and high < low:
            raise _RefusedError(f"The grammar repeats something at least {low} and at most {high} times.")
        return low, None if high is None or high > OFTEN else high

    def _number(self) -> int:
        digits = self._take(_DIGITS, "a whole number")[0].lstrip("0")
        self._skip(_LINES)
        return int(digits or "0") if len(digits) <= len(str(OFTEN)) else OFTEN + 1

    def _repeat(self, found: list[int], last: int, copies: int, fewest: int, most: int | None) -> int:
        """Write a repetition out as llama.cpp does: S{1,3} becomes S rest, rest ::= S rest' | , and so on."""
        repeated = found[last:]
        if not repeated:
            raise self._refuse("something before a sign of repetition")
        copies *= (most or fewest) or 1
        if copies > OFTEN:
            raise _RefusedError(f"The grammar repeats what is repeated, more than {OFTEN} times in all.")
        optional = 1 if most is None else most - fewest
        size = sum(max(1, 2 * len(self.characters[-2 - one][0])) if one < END else 1 for one in repeated)
        self._grow((fewest + optional) * (size + 3))
        if fewest:
            found += repeated * (fewest - 1)
        else:
            del found[last:]
        rest = None
        for number in range(optional):
            rule = self._new()
            following = [rule] if most is None else [] if rest is None else [rest]
            self.rules[rule] = [[*repeated, *following], []]
            rest = rule
            if number == optional - 1:
                self.worth_a_walk.append(rule)
        if rest is not None:
            found.append(rest)
        return copies


def _leftmost(reader: _Reader) -> dict[int, list[int]]:
    """Return what each rule may begin with, as far as llama.cpp knows, and as often as it stands there."""
    empty = {number for number, alternatives in reader.rules.items() if not all(alternatives)}
    found: dict[int, list[int]] = {}
    for number, alternatives in reader.rules.items():
        found[number] = []
        for alternative in alternatives:
            for element in alternative:
                if element < 0:
                    break
                found[number].append(element)
                if element not in empty:
                    break
    return found


def _look_for_left_recursion(reader: _Reader) -> None:
    """Look through the rules as llama.cpp does, which goes into a rule again wherever it stands."""
    leftmost, left = _leftmost(reader), WORK
    visited: set[int] = set()
    for start in reader.rules:
        if start in visited:
            continue
        inside, path = {start}, [(start, iter(leftmost[start]))]
        while path:
            rule, rest = path[-1]
            left -= 1
            if not left or len(path) > OFTEN:
                raise _RefusedError("The grammar's rules begin with each other in too many ways.")
            if (following := next(rest, None)) is None:
                path.pop()
                inside.discard(rule)
                visited.add(rule)
                continue
            if following in inside:
                raise _RefusedError("The grammar is left recursive: a rule begins with itself.")
            inside.add(following)
            path.append((following, iter(leftmost[following])))


class _Ways:
    """The ways in which a text can go on, as llama.cpp keeps them: stacks of places in the rules.

    A stack is a number, its top and what is below it; 0 is the empty one.
    """

    def __init__(self, reader: _Reader) -> None:
        self._characters = reader.characters
        self._elements: list[int] = []
        self._starts: dict[int, list[int]] = {}
        for rule, alternatives in reader.rules.items():
            self._starts[rule] = []
            for alternative in alternatives:
                self._starts[rule].append(len(self._elements))
                self._elements += [*alternative, END]
        self._stacks: dict[tuple[int, int], int] = {}
        self._below, self._top = [0], [0]
        self._known: dict[int, tuple[int, ...]] = {}
        self._left = WORK
        self._matches = cache(self._find_match)
        self._breadth = cache(self._find_breadth)

    def _stack(self, below: int, place: int) -> int:
        """Return the stack with a place on top, or what is below where nothing stands there."""
        if self._elements[place] == END:
            return below
        if (below, place) not in self._stacks:
            self._stacks[below, place] = len(self._top)
            self._below.append(below)
            self._top.append(place)
        return self._stacks[below, place]

    def _advance(self, *stacks: int) -> tuple[int, ...]:
        """Return the stacks that have a character on top, or nothing, which one comes to."""
        if len(stacks) == 1 and stacks[0] in self._known:
            return self._known[stacks[0]]
        found, seen, to_do = [], set(), [*stacks]
        while to_do:
            stack = to_do.pop()
            if stack in seen:
                continue
            seen.add(stack)
            self._left -= 1
            if self._left < 0 or len(seen) > 8 * MOST_WAYS:
                raise _RefusedError("The grammar is too large, or can go on in too many ways.")
            element = self._elements[self._top[stack]]
            if not stack or element < END:
                found.append(stack)
                continue
            below = self._stack(self._below[stack], self._top[stack] + 1)
            to_do += [self._stack(below, start) for start in self._starts[element]]
        if len(found) > MOST_WAYS:
            raise _RefusedError(f"The grammar can go on in more than {MOST_WAYS} ways at one place.")
        if len(stacks) == 1:
            self._known[stacks[0]] = tuple(found)
        return tuple(found)

    def walk(self, rule: int) -> None:
        """Write a text, from a rule on, that can be read in as many ways as possible."""
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
                for one in self._advance(after):
                    following[one] = following.get(one, 0) + readings
            ways = following
            if len(ways) > MOST_WAYS or spent > MOST_READINGS:
                raise _RefusedError(
                    "The grammar is too ambiguous: a short text can be read in too many ways."
                )
            state = frozenset(ways.items())
            if state in seen:
                return  # nothing grows here
            seen.add(state)

    def _most_read(self, ways: dict[int, int]) -> int:
        """Return the character that most ways can go on with."""
        readings: dict[int, int] = {}
        for stack, count in ways.items():
            if stack:
                element = self._elements[self._top[stack]]
                readings[element] = readings.get(element, 0) + count
        self._left -= len(ways)
        best, most = 0, 0
        for letter in list(dict.fromkeys(letter for one in readings for letter in self._letters(one)))[
            :LETTERS
        ]:
            self._left -= len(readings) // 4
            total = sum(count for one, count in readings.items() if self._matches(one, letter))
            if total > most:
                best, most = letter, total
        return best

    def _letters(self, element: int) -> Iterator[int]:
        ranges, negated = self._characters[-2 - element]
        if negated:
            yield from (code for code in map(ord, "a0 \x01") if self._matches(element, code))
        else:
            yield from (low for low, _ in ranges[:8])

    def _find_match(self, element: int, letter: int) -> bool:
        ranges, negated = self._characters[-2 - element]
        return any(low <= letter <= high for low, high in ranges) != negated

    def _find_breadth(self, element: int) -> float:
        """Return which share of all tokens may go on at an element, about."""
        ranges, negated = self._characters[-2 - element]
        return 1.0 if negated else min(1.0, sum(high - low + 1 for low, high in ranges) / COMMON)
