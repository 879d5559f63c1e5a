"""Lines from memory: how a line goes on that was written before, and how sure that is. Pure."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import LINE, remembered
from jupyter_turbopilot.context.languages import cell_language
from jupyter_turbopilot.context.private import without_secrets
from jupyter_turbopilot.memory.entries import lines_of
from jupyter_turbopilot.memory.import_lines import imports_of
from jupyter_turbopilot.suggestion.brackets import balanced_length
from jupyter_turbopilot.suggestion.features import score
from jupyter_turbopilot.suggestion.fit import Fit
from jupyter_turbopilot.suggestion.gate import WORTH_A_KEY, may_end
from jupyter_turbopilot.suggestion.trim import trim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jupyter_turbopilot.memory.base import Memory, Sighting
    from jupyter_turbopilot.request import Completion
    from jupyter_turbopilot.suggestion.features import CursorFeatures
    from jupyter_turbopilot.suggestion.surroundings import Surroundings

SHORTEST = 2  # characters of a line that is continued
MOST_WAYS, MOST_TEXTS = 6, 8  # that are compared, and that are scored
ARMOUR = "-----BEGIN "  # a key or certificate, of which the lines by themselves look like nothing
_DAY = 86_400.0  # seconds
_END = "\n"
_WORD = re.compile(r"[^\W\d]\w*+")
_IMPORT = re.compile(r"(?:import|from)\b")


@dataclass(frozen=True)
class Way:
    """One way in which a line goes on."""

    rest: str
    own: int = 0  # how often it stands in the notebook itself
    own_above: bool = False  # whether it stands there below the same line
    times: int = 0  # how often in other documents
    documents: int = 0  # in how many of them
    above: bool = False  # whether it stands there below the same line
    days: float = 0.0  # since the newest of them was changed
    imports: float = 0.0  # share of the notebook's modules that they import, too

    @property
    def weight(self) -> int:
        """In how many documents it stands."""
        return self.documents + bool(self.own)


@dataclass(frozen=True)
class Recalled:
    """How a line goes on in memory."""

    text: str
    confidence: float
    sure: bool  # whether it may be shown
    whole: bool  # whether nothing more could belong to the suggestion


@cache
def fit() -> Fit:
    """Return coefficients and thresholds, written by `scripts/fit_recall.py`."""
    return Fit(**json.loads(Path(__file__).with_name("recall.json").read_text("utf-8")))


# What is known ------------------------------------------------------------------------------------------------


def ways_at(memory: Memory, request: Completion, above: str, now: float) -> list[Way]:
    """Return how the line at the cursor goes on elsewhere, in the notebook and in memory, likeliest first."""
    line = request.prefix.rpartition("\n")[2]
    if not SHORTEST <= len(line.strip()) <= LINE:
        return []
    language = cell_language(request.cells[request.active].source, request.language)
    others = tuple(
        cell.source
        for number, cell in enumerate(request.cells)
        if number != request.active
        and cell.type == "code"
        and cell_language(cell.source, request.language) == language
    )
    modules = modules_in(others) if language == "python" else frozenset[str]()
    around = f"{request.prefix.rpartition(_END)[0]}\n\n{request.suffix.partition(_END)[2]}"
    own = own_ways(line, above, others, around)
    seen = memory.continuations(language, line, above, path=request.path, modules=modules)
    return joined(own, seen, now)


def own_ways(begun: str, above: str, others: tuple[str, ...], active: str) -> list[Way]:
    """Return how a line that begins so goes on in the notebook itself: in other cells, and in the active one."""
    start, above = begun.lstrip(), above.strip()
    if not SHORTEST <= len(start) <= LINE:
        return []
    times: Counter[str] = Counter()
    below_same = set[str]()
    for lines in (_lines(others), _lines((active,))):
        for text, before, often in lines:
            if text.startswith(start):
                rest = text[len(start) :]
                times[rest] += often
                if above and before == above:
                    below_same.add(rest)
    return [Way(rest, often, rest in below_same) for rest, often in times.items()]


@remembered(2**22)  # typing changes one of the cells
def _lines(sources: tuple[str, ...]) -> tuple[tuple[str, str, int], ...]:
    return tuple(
        (line.text, line.above, often)
        for source in sources
        if ARMOUR not in source
        for line, often in lines_of(without_secrets(source)).items()
    )


def joined(own: Sequence[Way], sightings: Sequence[Sighting], now: float) -> list[Way]:
    """Join what the notebook itself and other documents say, what most of them say first."""
    ways = {way.rest: way for way in own}
    for seen in sightings:
        here = ways.get(seen.rest, Way(seen.rest))
        # A clock that was put back makes nothing newer than new.
        days = max(0.0, now - seen.modified) / _DAY
        ways[seen.rest] = Way(
            seen.rest, here.own, here.own_above, seen.times, seen.documents, seen.above, days, seen.imports
        )
    return sorted(
        ways.values(),
        key=lambda way: (
            -(way.above or way.own_above), -way.weight, -way.own - way.times, way.days, way.rest
        ),
    )


# What of it is likely -------------------------------------------------------------------------------------------


def recall(
    ways: Sequence[Way],
    cursor: CursorFeatures,
    surroundings: Surroundings,
    fits: Callable[[str], bool],
    threshold: float,
) -> Recalled | None:
    """Return how the line goes on: what is sure enough to be shown and saves most, or else the likeliest."""
    scored = [
        (rate(values), text, whole) for text, whole, values in candidates(ways, cursor, surroundings)
    ]

    def gain(found: tuple[float, str, bool]) -> float:
        # Characters saved, less the key that accepts them.
        return found[0] * max(0.5, len(found[1].strip()) - 1)

    for value, text, whole in sorted(scored, key=gain, reverse=True):
        if value >= threshold and fits(text):
            return Recalled(text, value, sure=True, whole=whole)
    if not scored:
        return None
    value, text, whole = max(scored, key=gain)
    return Recalled(text, value, sure=False, whole=whole)


def rate(values: Mapping[str, float]) -> float:
    """Return how likely it is that a line goes on so."""
    return score(dict(values), fit().coefficients)


def candidates(
    ways: Sequence[Way], cursor: CursorFeatures, surroundings: Surroundings
) -> Iterator[tuple[str, bool, dict[str, float]]]:
    """Yield texts that may follow, whether nothing more could belong to the suggestion, and the features."""
    behind = surroundings.rest.strip()
    if len(cursor.body) < SHORTEST or surroundings.quote and behind:
        return
    # What stands behind the cursor has to be how such a line ends.
    fitting = [
        way if not behind else _cut(way, behind) for way in ways if not behind or way.rest.endswith(behind)
    ]
    for text, whole in _texts(fitting):
        if trim(text, surroundings, final=True).text != text:
            continue
        if not (whole or len(text.strip()) >= WORTH_A_KEY):
            continue
        if balanced_length(text, cursor.closed) == len(text):
            yield text, whole and not surroundings.multi, features_of(text, fitting, cursor)


def _cut(way: Way, behind: str) -> Way:
    return Way(**(vars(way) | {"rest": way.rest.removesuffix(behind)}))


def _texts(ways: Sequence[Way]) -> Iterator[tuple[str, bool]]:
    """Yield the ways themselves, then what some of them have in common, to where a text may end."""
    rests = [rest for way in ways[:MOST_WAYS] if (rest := way.rest.rstrip())]
    texts = dict.fromkeys(rests[: MOST_WAYS // 2], True)
    for number, rest in enumerate(rests):
        for other in rests[:number]:
            common = commonprefix([rest, other])
            end = len(common)
            while end and not (may_end(rest[:end], rest[end:]) and may_end(rest[:end], other[end:])):
                end -= 1
            if end:
                texts.setdefault(rest[:end], rest[:end] in rests)
    yield from list(texts.items())[:MOST_TEXTS]


def features_of(text: str, ways: Sequence[Way], cursor: CursorFeatures) -> dict[str, float]:
    """Return what speaks for and against a text as the way in which a line goes on."""
    agreeing = [way for way in ways if way.rest.startswith(text)]
    against = [way for way in ways if not way.rest.startswith(text)]
    total, agreed = (sum(way.weight for way in some) for some in (ways, agreeing))
    ending = sum(way.weight for way in agreeing if way.rest.rstrip() == text)
    own = sum(way.own for way in agreeing)
    names = _WORD.findall(text)
    known = [name for name in names if name in cursor.words]
    is_import = bool(_IMPORT.match(cursor.body))
    return {
        "bias": 1.0,
        "agreement": math.log((agreed + 0.5) / (total - agreed + 0.5)),
        "alone": float(not against),
        "documents": math.log1p(sum(way.documents for way in agreeing)),
        "times": math.log1p(sum(way.times for way in agreeing)),
        "own": math.log1p(own),
        "own against": float(any(way.own for way in against)),
        "above": float(any(way.above for way in agreeing)),
        "above against": float(any(way.above for way in against)),
        "own above": float(any(way.own_above for way in agreeing)),
        "own above against": float(any(way.own_above for way in against)),
        "match": math.log(len(cursor.body)),
        "length": math.log1p(len(text.strip())),
        "ending": ending / max(1, agreed),
        "imports": max((way.imports for way in agreeing), default=0.0),
        "known": len(known) / len(names) if names else 1.0,
        "unknown": math.log1p(len(names) - len(known)),
        "rest": float(bool(cursor.rest)),
        "import": float(is_import),
        "import again": float(is_import and bool(own)),
        "comment": float(cursor.body.startswith("#")),
        **{name: value for name, value in cursor.line_features.items() if name != "empty line"},
    }


@remembered(2**20)  # typing changes one of the cells
def modules_in(sources: tuple[str, ...]) -> frozenset[str]:
    """Return the top-level modules that cells of Python import."""
    return frozenset(found.module for source in sources for found in imports_of(source))
