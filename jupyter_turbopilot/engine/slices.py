"""Text in slices that any of llama.cpp's tokenizers survives, cut where no token changes. Pure.

Many of its pre-tokenizers are a `std::regex`, which recurses for each character of a match and ends the
process when the stack is full. So no call gets more than a slice. A slice ends at a place where the
vocabulary ends a token anyway; only a text that has no such place for a whole slice is cut within a word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LONGEST = 2048  # characters: half a kilobyte of stack for each, and some systems' threads have one megabyte
# Where a text may be cut. Which of these holds is tried with the vocabulary itself, in this order.
_LETTER = r"[^\W\d_]"
_RULES = (
    re.compile(rf"(?<=\S)(?= {_LETTER})|(?<=\S\n)(?={_LETTER})"),
    re.compile(r"(?<=[^\n]\n)(?=[^\n])"),
    re.compile(rf"(?<=\S\n)(?={_LETTER})"),
)
_PROBE = '''\
import numpy as np
from os import path

# A comment, with a number: 1234567.
class Point(object):
    """What it is."""

    def __init__(self, x=0, *, y: int = 1) -> None:
        self.x, self.y = x, {"a b": [1, 2], 'it\\'s': None}
        if not (x > 0 and y <= 10):
            return  # early, don't go on

    @property
    def norm(self): return (self.x ** 2 + self.y ** 2) ** 0.5
def main(): print(f"{Point(3, y=4).norm:.2f}\\n", end = "")


main()
Some words, and more words. Then (in brackets) the end!
\tdf = pd.read_csv("file.csv") ; df["a"] += 1
'''


def rule_for(
    tokenize: Callable[[str], Sequence[int]], behind: Callable[[str], Sequence[int]]
) -> re.Pattern[str]:
    """Return where texts may be cut for a tokenizer; `behind` tokenizes what stands behind a cut."""
    whole = list(tokenize(_PROBE))
    for rule in _RULES:
        first, *others = rule.split(_PROBE)
        if [*tokenize(first), *(token for part in others for token in behind(part))] == whole:
            return rule
    return _RULES[-1]


def slices(text: str, rule: re.Pattern[str], longest: int = LONGEST) -> Iterator[str]:
    """Cut a text; a cut depends only on what stands before it, so typing at the end moves none."""
    start = 0
    while len(text) - start > longest:
        stop = start + longest
        for begin in (stop - longest // 4, start + 1):  # mostly there is a place near the end
            places = [match.start() for match in rule.finditer(text, begin, stop + 1)]
            if places:
                stop = places[-1]
                break
        yield text[start:stop]
        start = stop
    yield text[start:]
