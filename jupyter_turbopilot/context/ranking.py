"""Selection of snippets: those that define used names, then the most similar ones. Pure.

They are compared with the other text of the prompt, never with the cell being typed: otherwise each new line
could change the selection, and the rest of the prompt would have to be evaluated again.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from jupyter_turbopilot.util.bounds import cached_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_WORD = re.compile(r"[^\W\d]\w{2,}")
_DEFINING = re.compile(
    r"""^(?:async[ ]def|def|class|function|const|let|var)[ ]++(\w++)
    |^(\w++)[ ]*+(?:=(?!=)|<-)
    |^(?:import|from)[ ](.*+)""",
    re.MULTILINE | re.VERBOSE,
)
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
DEFINES = 2.0  # weight of a name that a snippet defines, relative to one it only uses


@cached_function(2**21)
def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text))


def _defined(text: str) -> frozenset[str]:
    definitions = (group for groups in _DEFINING.findall(text) for group in groups)
    return frozenset(word for group in definitions for word in _WORD.findall(group))


def scores(snippets: Sequence[str], near: str) -> list[float]:
    """Return the relevance of each snippet to a text; rare words count more."""
    used = _words(near)
    often = Counter(word for snippet in snippets for word in _words(snippet))
    relevance = []
    for snippet in snippets:
        words = _words(snippet)
        # Sorted: the order of a set, and with it the rounding of a sum, differs between processes.
        shared = sum(sorted(1 / often[word] for word in words & used))
        defined = sum(sorted(1 / often[word] for word in used & _defined(snippet)))
        relevance.append((shared + DEFINES * defined) / (1 + len(words)) ** 0.5)
    return relevance


def chosen(snippets: Sequence[str], near: str, room: int, size: Callable[[str], int]) -> list[str]:
    """Return the most relevant snippets that fit, in their original order."""
    relevance = scores(snippets, near)
    taken = []
    # Of two equally relevant ones, prefer the later, which is more likely to be up to date.
    for at in sorted(range(len(snippets)), key=lambda at: (-relevance[at], -at)):
        if relevance[at] > 0 and (cost := size(snippets[at])) <= room:
            room -= cost
            taken.append(at)
    return [snippets[at] for at in sorted(taken)]


def blocks(source: str, most: int = 800) -> list[str]:
    """Split a document at blank lines into snippets of at most `most` characters."""
    snippets: list[str] = []
    for part in parts(source.strip()):
        if snippets and len(snippets[-1]) + len(part) < most // 2:
            snippets[-1] += f"\n\n{part}"
        else:
            snippets.append(part)
    return [snippet[:most] for snippet in snippets if snippet.strip()]


def parts(source: str) -> Iterator[str]:
    """Split a text at blank lines before a line without indentation."""
    start = 0
    for blank in _BLANK_LINES.finditer(source):
        if not source[blank.end()].isspace():
            yield source[start : blank.start()]
            start = blank.end()
    yield source[start:]
