"""Repeated edits: two alike changes between two versions of real notebooks, then others.

python research/benchmarks/versions.py SET [--part held-out] [--log FILE]

SET is a file of `gather.py --versions`. A change is a run of lexemes that differ, joined with the next one if
no word is between them, or if the cell does not parse with it alone; other quotes and line breaks are none.
Changes are alike if the old and the new text are equal, except for words that both have. The first two of at
least three changes of a notebook are made in the order of the text. An offer is right if the cell becomes
what another of these changes gives, or is nearer to the new version; offers in deleted cells do not count.

Every second package is held out and not used in development.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edits import LEXEME, Made, Result, dumped, edited, measured, parsed_cell, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FEWEST = 3  # alike changes of a group


@dataclass(frozen=True)
class Change:
    """A change of an author: a span of the old source, and one of the new source."""

    start: int
    end: int
    new_start: int
    new_end: int
    old: str
    new: str

    def joined(self, other: Change, before: str, after: str) -> Change:
        """Return a change that reaches to the end of a later one."""
        old, new = before[self.start : other.end], after[self.new_start : other.new_end]
        return Change(self.start, other.end, self.new_start, other.new_end, old, new)

    @property
    def key(self) -> tuple[str, ...]:
        """What alike changes have in common."""
        old, new = (re.findall(r"\w+", each) for each in (self.old, self.new))
        common = [word for word in dict.fromkeys(old) if word in new]
        numbers = {word: f"<{number}>" for number, word in enumerate(common)}
        texts = (
            re.sub(r"\w+", lambda word: numbers.get(word[0], word[0]), each) for each in (self.old, self.new)
        )
        return tuple(re.sub(r"\s+", " ", each).strip() for each in texts)

    @property
    def kind(self) -> str:
        """The kind of a change."""
        if not (self.old and self.new):
            return "added" if self.new else "removed"
        return "name" if f"{self.old}{self.new}".isidentifier() else "other text"


def changes(before: str, after: str) -> Iterator[Change]:
    """Yield the changes of a cell in the order of the text, without those of comments and white space."""
    old, new = ([*LEXEME.finditer(each)] for each in (before, after))
    texts = [[each[0].replace("'", '"') for each in lexemes] for lexemes in (old, new)]
    found: list[Change] = []
    for tag, a, b, c, d in SequenceMatcher(None, *texts, autojunk=False).get_opcodes():
        if tag != "equal":
            # An insertion or a deletion includes the white space before it.
            is_whole = b > a and d > c
            start, new_start = (
                each[at].start() if is_whole else each[at - 1].end() if at else 0
                for each, at in ((old, a), (new, c))
            )
            end = old[b - 1].end() if b > a else start
            new_end = new[d - 1].end() if d > c else new_start
            found.append(Change(start, end, new_start, new_end, before[start:end], after[new_start:new_end]))
    can_parse = dumped(before) if dumped(after) else ""
    while found:
        change = found.pop(0)
        while found and (
            not re.search(r"\w", before[change.end : found[0].start])
            or (can_parse and not dumped(edited(before, change.start, change.end, change.new)))
        ):
            change = change.joined(found.pop(0), before, after)
        is_format = can_parse and dumped(edited(before, change.start, change.end, change.new)) == can_parse
        if not is_format and re.search(r"\w", re.sub(r"#.*", "", f"{change.old}\n{change.new}")):
            yield change


def statements(source: str) -> list[str]:
    """Return the classes of the statements; none for source that does not parse."""
    try:
        nodes = ast.walk(parsed_cell(source))
    except SyntaxError:
        return []
    return [type(each).__name__ for each in nodes if isinstance(each, ast.stmt)]


def made(cells: Sequence[Sequence[Any]]) -> Iterator[Made]:
    """Yield the edits that an author made at least three times alike."""
    groups = defaultdict[tuple[str, ...], list[Any]](list)
    for number, (kind, before, after) in enumerate(cells):
        if kind == "code" and after not in {None, before} and dumped(before) and dumped(after):
            for each in changes(before, after):
                text = edited(before, each.start, each.end, each.new)
                is_statement = statements(text) != statements(before)
                kind_of = "whole statements" if is_statement else each.kind
                groups[each.key].append((kind_of, ((number, each.start, each.end), each.new)))
    sources = [before if kind == "code" else "" for kind, before, _ in cells]
    for group in groups.values():
        if len(group) >= FEWEST:
            after = {n: new for n, (kind, _, new) in enumerate(cells) if kind == "code"}
            yield Made(group[0][0], sources, [each for _, each in group], after=after)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("set", type=Path)
    parser.add_argument("--part", choices=("development", "held-out", "all"), default="development")
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    notebooks = json.loads(gzip.decompress(options.set.read_bytes()))
    packages = sorted({each["name"].partition("__")[0] for each in notebooks})
    chosen = {"development": packages[::2], "held-out": packages[1::2], "all": packages}[options.part]
    notebooks = [each for each in notebooks if each["name"].partition("__")[0] in chosen]
    results: list[Result] = []
    for each in notebooks:
        results += [measured(case, each["name"], (0, 1)) for case in made(each["cells"])]
    print("\n".join(table(results)))
    if options.log:
        options.log.write_text("\n".join(json.dumps(each.__dict__) for each in results))


if __name__ == "__main__":
    main()
