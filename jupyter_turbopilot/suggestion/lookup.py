"""Index lookup: continuations of a line from the user's own code, with their probability. Pure.

They are found in the notebook itself and in the index of other documents.
"""

from __future__ import annotations

import builtins
import json
import math
import re
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jupyter_turbopilot.analysis.imports import imports_of
from jupyter_turbopilot.analysis.languages import cell_language
from jupyter_turbopilot.analysis.lexer import balanced_length, closing_length
from jupyter_turbopilot.analysis.lines import SHORTEST_BEGINNING, Continuation, Line, lines_of
from jupyter_turbopilot.context.notebook import ABOVE, NEAR
from jupyter_turbopilot.context.private import ARMOUR, spread_secrets
from jupyter_turbopilot.suggestion.gate import expected_gain, is_complete, may_end
from jupyter_turbopilot.suggestion.readable import WORTH_A_KEY
from jupyter_turbopilot.suggestion.scores import sigmoid
from jupyter_turbopilot.suggestion.trim import trim
from jupyter_turbopilot.util.bounds import LINE, cached_function, count_operations, end_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from jupyter_turbopilot.protocol.request import Completion
    from jupyter_turbopilot.suggestion.scores import CursorFeatures
    from jupyter_turbopilot.suggestion.surroundings import Surroundings

MOST_COMPARED, MOST_TEXTS = 6, 8  # continuations that are compared, and texts that are scored
# A name that is neither assigned here nor a keyword argument.
_NAME = re.compile(r"(\.\s*+)?(?<!\w)([^\W\d]\w*+)(?!\s*+=(?!=))")
# Names inside strings do not count.
_STRING = re.compile(r"\"[^\"\n]*+\"?+|'[^'\n]*+'?+")
_BUILT_IN = frozenset(dir(builtins))
_WORD_AT_CURSOR = re.compile(r"\.?(?<!\w)\w*+$")
_IMPORT = re.compile(r"(?:import|from)\b")


# Continuations ------------------------------------------------------------------------------------------


class LineIndex(Protocol):
    """An index of the lines of other documents."""

    def continuations(
        self, language: str, begun: str, above: str, *, path: str, modules: Collection[str]
    ) -> Sequence[Continuation]:
        """Return the continuations of a line, the most frequent first."""


def continuations_at(
    notebook_index: LineIndex, request: Completion, around: Surroundings
) -> list[Continuation]:
    """Return the continuations of the line at the cursor, from notebook and index, likeliest first."""
    start = around.line.lstrip()
    if not SHORTEST_BEGINNING <= len(start) <= LINE:
        return []
    language = cell_language(request.cells[request.active].source, request.language)
    others = [*_nearest(request, language)]
    modules = frozenset[str]().union(*map(_modules, others if language == "python" else ()))
    above, below = request.prefix.rpartition("\n")[0], request.suffix[:NEAR].partition("\n")[2]
    texts = *((source,) for source in others), (end_of(above, NEAR), below)
    own = own_continuations(start, around.above, texts)
    seen = notebook_index.continuations(language, start, around.above, path=request.path, modules=modules)
    below = around.next_line.strip()
    return [each for each in merged(own, seen) if start + each.rest != below]


def _nearest(request: Completion, language: str) -> Iterator[str]:
    """Iterate over the other cells of a language, nearest first, up to a total length."""
    room, active = ABOVE, request.active
    for number in sorted(range(len(request.cells)), key=lambda number: abs(number - active)):
        cell = request.cells[number]
        room -= len(cell.source)
        if room < 0:
            return
        if (
            number != active
            and cell.type == "code"
            and cell_language(cell.source, request.language) == language
        ):
            yield cell.source


def own_continuations(start: str, above: str, texts: Iterable[tuple[str, ...]]) -> list[Continuation]:
    """Return the continuations of a line beginning in texts of the notebook, given in parts (`_lines`)."""
    above = above.strip()
    times: Counter[str] = Counter()
    below_same = set[str]()
    for parts in texts:
        lines = _lines(*parts)
        for at in range(bisect_left(lines, (start,)), len(lines)):
            text, before, often = lines[at]
            if not text.startswith(start):
                break
            rest = text[len(start) :]
            times[rest] += often
            if above and before == above:
                below_same.add(rest)
    return [Continuation(rest, often, rest in below_same) for rest, often in times.items()]


@cached_function(2**24)  # most keystrokes change no earlier line
def _lines(*parts: str) -> tuple[tuple[str, str, int], ...]:
    """Return the sorted lines of a text, each with the one above it and the number of occurrences.

    Secrets are detected in the whole text, as the cursor may be in the middle of one. Otherwise the parts
    are separate: the line below the cursor does not follow the line above it.
    """
    count_operations(sum(map(len, parts)))
    if ARMOUR.search("\n".join(parts)):
        return ()
    divided = [part.splitlines(keepends=True) for part in parts]
    secret = spread_secrets([line for lines in divided for line in lines])
    number, counted = count(), Counter[Line]()
    for lines in divided:
        counted += lines_of("".join(line for line in lines if next(number) not in secret))
    return tuple(sorted((line.text, line.above, often) for line, often in counted.items()))


def merged(own: Sequence[Continuation], indexed: Sequence[Continuation]) -> list[Continuation]:
    """Merge the continuations of notebook and index, the most frequent first."""
    continuations = {each.rest: each for each in own}
    for seen in indexed:
        here = continuations.get(seen.rest, seen)
        continuations[seen.rest] = replace(seen, own=here.own, own_above=here.own_above)
    return sorted(
        continuations.values(),
        key=lambda each: (
            -(each.above or each.own_above),
            -each.weight,
            -each.own - each.times,
            each.days,
            each.rest,
        ),
    )


@cached_function(2**22)  # a keystroke does not change other cells
def _modules(source: str) -> frozenset[str]:
    """Return the top-level modules that a Python cell imports."""
    return frozenset(found.module for found in imports_of(source))


# Matches ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LineMatch:
    """An index match: a continuation of the line."""

    text: str
    confidence: float
    sure: bool  # whether it may be shown
    whole: bool  # whether the suggestion cannot be longer than this
    imports: tuple[str, ...] = ()  # import lines that its names need and the notebook lacks


@dataclass(frozen=True)
class LookupFit:
    """Coefficients of a logistic regression by feature, and thresholds by eagerness."""

    coefficients: dict[str, float]
    thresholds: dict[str, float]


@cache
def fit() -> LookupFit:
    """Return the fit written by `research/scripts/fit_lookup.py`."""
    return LookupFit(**json.loads(Path(__file__).with_name("lookup.json").read_text("utf-8")))


def best_match(
    continuations: Sequence[Continuation],
    cursor: CursorFeatures,
    surroundings: Surroundings,
    fits: Callable[[str], bool],
    threshold: float,
) -> LineMatch | None:
    """Return the continuation that saves most: one that may be shown, or else one for a draft."""
    scored = [
        (rate(values), text, whole) for text, whole, values in candidates(continuations, cursor, surroundings)
    ]

    def gain(found: tuple[float, str, bool]) -> float:
        return expected_gain(found[0], found[1])

    for value, text, whole in sorted(scored, key=gain, reverse=True):
        is_worth_reading = value >= threshold and expected_gain(value, text) >= 0
        if is_worth_reading and is_closed(text, cursor, whole=whole) and fits(text):
            return LineMatch(text, value, sure=True, whole=whole)
    if not scored:
        return None
    value, text, whole = max(scored, key=gain)
    return LineMatch(text, value, sure=False, whole=whole)


def is_closed(text: str, cursor: CursorFeatures, *, whole: bool) -> bool:
    """Return whether a line may end after a text, unless the text after the cursor may complete it."""
    line = cursor.body + text
    return bool(cursor.rest) or is_complete(line, line, whole=whole)


def rate(values: Mapping[str, float]) -> float:
    """Return the probability that the line continues like this."""
    coefficients = fit().coefficients
    return sigmoid(sum(coefficients[name] * value for name, value in values.items()))


def candidates(
    continuations: Sequence[Continuation], cursor: CursorFeatures, surroundings: Surroundings
) -> Iterator[tuple[str, bool, dict[str, float]]]:
    """Yield possible texts, whether each ends the suggestion, and its features."""
    after = surroundings.rest.strip()
    if surroundings.quote and after:
        return
    # The continuation has to end with the text after the cursor.
    fitting = [
        replace(each, rest=each.rest.removesuffix(after))
        for each in continuations
        if each.rest.endswith(after)
    ]
    for text, whole in _texts(fitting, cursor.line):
        if trim(text, surroundings, final=True).text != text:
            continue
        if not (whole or len(text.strip()) >= WORTH_A_KEY):
            continue
        if balanced_length(text, cursor.closed) == len(text):
            yield text, whole and not surroundings.multi, features_of(text, fitting, cursor)


def _texts(continuations: Sequence[Continuation], line: str) -> Iterator[tuple[str, bool]]:
    """Yield the continuations, their first words, then prefixes that two of them share.

    Prefixes end where a suggestion may end. A first word is more often right than its whole line.
    """
    rests = [rest for each in continuations[:MOST_COMPARED] if (rest := each.rest.rstrip())]
    texts = dict.fromkeys(rests[: MOST_COMPARED // 2], True)
    for rest in rests[: MOST_COMPARED // 2]:
        between = range(WORTH_A_KEY, len(rest) - WORTH_A_KEY + 1)
        ends = (end for end in between if may_end(rest[:end], rest[end:]))
        if end := next(ends, 0):
            end += closing_length(line + rest[:end], rest[end:])
            texts.setdefault(rest[:end], rest[:end] in rests)
    for number, rest in enumerate(rests):
        for other in rests[:number]:
            end = len(commonprefix([rest, other]))  # noqa: RUF071 - not paths
            while end and not (may_end(rest[:end], rest[end:]) and may_end(rest[:end], other[end:])):
                end -= 1
            if end:
                texts.setdefault(rest[:end], rest[:end] in rests)
    yield from list(texts.items())[:MOST_TEXTS]


def features_of(text: str, continuations: Sequence[Continuation], cursor: CursorFeatures) -> dict[str, float]:
    """Return the features of a text as a continuation."""
    agreeing = [each for each in continuations if each.rest.startswith(text)]
    against = [each for each in continuations if not each.rest.startswith(text)]
    total, agreed = (sum(each.weight for each in some) for some in (continuations, agreeing))
    ending = sum(each.weight for each in agreeing if each.rest.rstrip() == text)
    own = sum(each.own for each in agreeing)
    # Include the beginning of the word at the cursor.
    names = _names("" if cursor.quote else cursor.body, _STRING.sub(" ", f"{cursor.quote}{text}"))
    strange = [dot for dot, name in names if name not in cursor.words and (dot or name not in _BUILT_IN)]
    is_import = bool(_IMPORT.match(cursor.body))
    return {
        "bias": 1.0,
        "agreement": math.log((agreed + 0.5) / (total - agreed + 0.5)),
        "alone": float(not against),
        "documents": math.log1p(sum(each.documents for each in agreeing)),
        "times": math.log1p(sum(each.times for each in agreeing)),
        "own": math.log1p(own),
        "own against": float(any(each.own for each in against)),
        "above": float(any(each.above for each in agreeing)),
        "above against": float(any(each.above for each in against)),
        "own above": float(any(each.own_above for each in agreeing)),
        "own above against": float(any(each.own_above for each in against)),
        "match": math.log(max(1, len(cursor.body))),
        "length": math.log1p(len(text.strip())),
        "ending": ending / max(1, agreed),
        "imports": max((way.imports for way in agreeing), default=0.0),
        "strange": math.log1p(sum(not dot for dot in strange)),
        "strange attributes": math.log1p(sum(map(bool, strange))),
        "rest": float(bool(cursor.rest)),
        "import": float(is_import),
        "import again": float(is_import and bool(own)),
        "comment": float(cursor.body.startswith("#")),
        **{name: value for name, value in cursor.line_features.items() if name != "empty line"},
    }


def _names(begun: str, text: str) -> list[tuple[str, str]]:
    """Return the names of a text, including the partial one at the cursor, each after its dot if any."""
    at_cursor = _WORD_AT_CURSOR.search(begun)
    return _NAME.findall(f"{at_cursor[0] if at_cursor else ''}{text}")
