"""GBNF, the language of llama.cpp's grammars: a text becomes rules, its repetitions written out. Pure.

llama.cpp writes repetitions out in the same way, but without a limit. Here a grammar that becomes too large
is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

DEEPEST = 128  # groups within groups; some thousands end the process
OFTEN = 2000  # llama.cpp's own limit of how often something may be repeated
LARGEST = 200_000  # elements, once repetitions are written out
LONGEST_NAME = 256  # of a token in a grammar

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


class GrammarError(Exception):
    """Why a grammar is refused."""


class CharacterSet(NamedTuple):
    """The characters that may stand at one place."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool  # whether it is all characters but those of the ranges

    def has(self, code: int) -> bool:
        """Tell whether a character is one of them."""
        return any(low <= code <= high for low, high in self.ranges) != self.negated


@dataclass(frozen=True)
class Rules:
    """A grammar's rules; each is a list of alternatives, each a list of elements.

    An element from 0 on is a rule, from -2 down a set of characters.
    """

    rules: dict[int, list[list[int]]]
    characters: list[CharacterSet]
    branching: list[int]  # the rules with alternatives, and the last ones of a repetition

    def character(self, element: int) -> CharacterSet:
        """Return the set of characters that an element stands for."""
        return self.characters[-2 - element]


def parse(grammar: str) -> Rules:
    """Return the rules of a grammar; GrammarError says why there are none."""
    return _Parser(grammar).parse()


class _Parser:
    """Reads a grammar from its start to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._names: dict[str, int] = {}
        self._rules: dict[int, list[list[int]]] = {}
        self._characters: list[CharacterSet] = []
        self._branching: list[int] = []
        self._elements: dict[CharacterSet, int] = {}
        self._count = 0
        self._size = 0

    def parse(self) -> Rules:
        """Read all rules."""
        if "\0" in self._text:
            raise GrammarError("The grammar holds a NUL character.")
        self._skip(_LINES)
        while self._at < len(self._text):
            self._rule()
        if "root" not in self._names:
            raise GrammarError("The grammar has no rule `root`.")
        for name, number in self._names.items():
            if number not in self._rules:
                raise GrammarError(f"The grammar's rule `{name[:80]}` is not defined.")
        return Rules(self._rules, self._characters, self._branching)

    def _refuse(self, wanted: str) -> GrammarError:
        line = self._text.count("\n", 0, self._at) + 1
        return GrammarError(f"The grammar is not valid GBNF: line {line} needs {wanted}.")

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _take(self, pattern: re.Pattern[str], wanted: str) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if not match:
            raise self._refuse(wanted)
        self._at = match.end()
        return match

    def _new(self) -> int:
        self._count += 1
        return self._count - 1

    def _named(self, name: str) -> int:
        if name not in self._names:
            self._names[name] = self._new()
        return self._names[name]

    def _grow(self, elements: int) -> None:
        self._size += elements
        if self._size > LARGEST:
            raise GrammarError(
                f"The grammar comes to more than {LARGEST} elements once its repetitions are written out."
            )

    def _rule(self) -> None:
        rule = self._named(self._take(_NAME, "the name of a rule")[0])
        self._skip(_BLANKS)
        if not self._text.startswith("::=", self._at):
            raise self._refuse("`::=`")
        self._at += 3
        self._skip(_LINES)
        self._alternatives(rule, 0)
        if self._at < len(self._text) and self._text[self._at] not in "\r\n":
            raise self._refuse("the end of the rule")
        self._skip(_LINES)

    def _alternatives(self, rule: int, depth: int) -> None:
        if depth > DEEPEST:
            raise GrammarError(f"The grammar has more than {DEEPEST} groups within each other.")
        self._branching.append(rule)
        alternatives = [self._sequence(depth)]
        while self._text.startswith("|", self._at):
            self._at += 1
            self._skip(_LINES)
            alternatives.append(self._sequence(depth))
        self._rules[rule] = alternatives

    def _sequence(self, depth: int) -> list[int]:
        elements: list[int] = []
        last, copies = 0, 1  # where the part that may be repeated begins; how many copies llama.cpp counts
        blanks = _LINES if depth else _BLANKS
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in "*+?{":
                fewest, most = self._times() if char == "{" else _SIGNS[char]
                self._at += char != "{"
                copies = self._repeat(elements, last, copies, fewest, most)
            else:
                before, begun = self._count, len(elements)
                if not self._element(char, elements, depth):
                    break
                last, copies = begun, max(1, self._count - before) if char == "(" else 1
            self._skip(blanks)
        return elements

    def _element(self, char: str, elements: list[int], depth: int) -> bool:
        """Read one part of a sequence; tell whether there was one."""
        if char == '"':
            self._at += 1
            while not self._text.startswith('"', self._at):
                code = self._char()
                elements.append(self._character(((code, code),), negated=False))
            self._at += 1
        elif char == "[":
            elements += self._class()
        elif char in "<!":
            self._take(_TOKEN, f"a token in `<>` of at most {LONGEST_NAME} characters")
            elements.append(self._character((), negated=True))
        elif char == ".":
            self._at += 1
            elements.append(self._character((), negated=True))
        elif char == "(":
            self._at += 1
            self._skip(_LINES)
            group = self._new()
            self._alternatives(group, depth + 1)
            if not self._text.startswith(")", self._at):
                raise self._refuse("`)`")
            self._at += 1
            elements.append(group)
            self._grow(1)
        elif name := _NAME.match(self._text, self._at):
            self._at = name.end()
            elements.append(self._named(name[0]))
            self._grow(1)
        else:
            return False
        return True

    def _char(self) -> int:
        match = self._take(_CHAR, "a character, or the end of what was begun")
        if code := match[1] or match[2] or match[3]:
            return int(code, 16)
        return ord(_ESCAPES.get(match[4], match[4]) if match[4] else match[5])

    def _class(self) -> list[int]:
        self._at += 1
        negated = self._text.startswith("^", self._at)
        self._at += negated
        ranges: list[tuple[int, int]] = []
        while not self._text.startswith("]", self._at):
            low = high = self._char()
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                high = self._char()
            ranges.append((low, high))
        self._at += 1
        return [self._character(tuple(ranges), negated=negated)] if ranges else []

    def _character(self, ranges: tuple[tuple[int, int], ...], *, negated: bool) -> int:
        self._grow(max(1, 2 * len(ranges)))
        characters = CharacterSet(ranges, negated)
        if characters not in self._elements:
            self._elements[characters] = -2 - len(self._characters)
            self._characters.append(characters)
        return self._elements[characters]

    def _times(self) -> tuple[int, int | None]:
        self._at += 1
        self._skip(_LINES)
        low: int = self._number()
        high: int | None = low
        if self._text.startswith(",", self._at):
            self._at += 1
            self._skip(_LINES)
            high = self._number() if _DIGITS.match(self._text, self._at) else None
        if not self._text.startswith("}", self._at):
            raise self._refuse("`}`")
        self._at += 1
        if low > OFTEN:
            raise GrammarError(f"The grammar repeats something more than {OFTEN} times.")
        if high is not None and high < low:
            raise GrammarError(f"The grammar repeats something at least {low} and at most {high} times.")
        return low, None if high is None or high > OFTEN else high

    def _number(self) -> int:
        digits = self._take(_DIGITS, "a whole number")[0].lstrip("0")
        self._skip(_LINES)
        return int(digits or "0") if len(digits) <= len(str(OFTEN)) else OFTEN + 1

    def _repeat(self, elements: list[int], last: int, copies: int, fewest: int, most: int | None) -> int:
        """Write a repetition out as llama.cpp does: S{1,3} becomes S rest, rest ::= S rest' | , and so on."""
        repeated = elements[last:]
        if not repeated:
            raise self._refuse("something before a sign of repetition")
        copies *= (most or fewest) or 1
        if copies > OFTEN:
            raise GrammarError(f"The grammar repeats what is repeated, more than {OFTEN} times in all.")
        optional = 1 if most is None else most - fewest
        size = sum(
            max(1, 2 * len(self._characters[-2 - element].ranges)) if element < 0 else 1
            for element in repeated
        )
        self._grow((fewest + optional) * (size + 3))
        if fewest:
            elements += repeated * (fewest - 1)
        else:
            del elements[last:]
        rest = None
        for number in range(optional):
            rule = self._new()
            following = [rule] if most is None else [] if rest is None else [rest]
            self._rules[rule] = [[*repeated, *following], []]
            rest = rule
            if number == optional - 1:
                self._branching.append(rule)
        if rest is not None:
            elements.append(rest)
        return copies
