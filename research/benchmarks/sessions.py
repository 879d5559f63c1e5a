"""Notebooks typed and run cell by cell, with and without kernel context: what each answer contained.

The log has a line for each position and way, so that an interrupted run continues, and the summary can
compare thresholds.
"""

from __future__ import annotations

import ast
import json
import random
import re
import time
from collections import Counter, defaultdict
from contextlib import closing
from copy import copy
from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from jupyter_turbopilot.analysis.kernel_context import NONE
from jupyter_turbopilot.completer import suggestion_plan
from jupyter_turbopilot.suggestion.gate import Gate
from jupyter_turbopilot.terminal.in_process import InProcess
from jupyter_turbopilot.util.syntax_tree import parse
from turbopilot_research.evaluate.live import Live, ResolvedNames
from turbopilot_research.evaluate.scoring import Score, Tally, bootstrap_interval, interval, judge
from turbopilot_research.evaluate.traces import LONGEST_CELL, Trace, from_the_top, of_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from jupyter_turbopilot.settings.config import Turbopilot
    from turbopilot_research.evaluate.notebooks import TypedNotebook

WAYS = ("with", "without")
THRESHOLDS = tuple(round(0.4 + 0.025 * step, 3) for step in range(21))
BALANCED = THRESHOLDS.index(0.6)
METRICS: dict[str, Callable[[Tally], float]] = {
    "precision": lambda total: total.precision,
    "saved": lambda total: total.share_saved,
    "net saved": lambda total: total.net(),
}
_NEAR = re.compile(r"[ \t]*[^\w\s#]{0,2}[ \t]*")  # between the cursor and the name that is typed next
_FILE = re.compile(r"[^\n]*[/\w]\.[a-z]\w{1,4}")
_COMMAND = re.compile(r"^[%!]", re.MULTILINE)
Line = dict[str, Any]


class Place(NamedTuple):
    """A name in a cell, and its kind."""

    start: int = 0
    end: int = 0
    kind: str = "other"
    name: str = ""


class Watched(Gate):
    """A gate that records the latest text, and how much of it is shown at each threshold."""

    latest: Line

    def shown(self, text: str, *, final: bool = True) -> tuple[int, float]:
        """Record the ends at each threshold."""
        ends = []
        for threshold in THRESHOLDS:
            gate = copy(self)
            gate.threshold = threshold
            ends.append(Gate.shown(gate, text, final=final)[0])
        Watched.latest = {"text": text, "ends": ends}
        return super().shown(text, final=final)


# Kinds of places --------------------------------------------------------------------------------------------


def place_at(source: str, at: int) -> Place:
    """Return the name that is being typed at a position of a complete cell, or comes next."""
    place = next((each for each in _places(source) if each.end > at), Place())
    return place if place.start <= at or _NEAR.fullmatch(source, at, place.start) else Place()


@cache
def _places(source: str) -> list[Place]:
    """Return the names and strings of a cell by position."""
    try:
        tree = parse(_COMMAND.sub("#", source))
    except SyntaxError:
        return []
    encoded = source.encode()
    starts = [0, *accumulate(map(len, encoded.splitlines(keepends=True)))]
    kinds: dict[ast.AST, str] = {}  # of strings: that of the innermost expression counts
    found = []
    for node in ast.walk(tree):
        for kind, part in _parts(node):
            kinds.update(dict.fromkeys(ast.walk(part), kind))
        kind, name = _kind(node, kinds)
        if kind:
            first, last = (
                len(encoded[: starts[line - 1] + column].decode())
                for line, column in ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))  # type: ignore[attr-defined]
            )
            first = last - len(name) if kind == "attribute" else first
            last = first + len(name) if kind == "parameter" else last
            found.append(Place(first, last, kind, name))
    return sorted(found)


def _parts(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield the parts of an expression whose strings have a kind."""
    match node:
        case ast.Subscript():
            yield "column in a subscript", node.slice
        case ast.Compare():
            yield from (("value of a category", part) for part in node.comparators)
        case ast.Call():
            is_value = isinstance(node.func, ast.Attribute) and node.func.attr == "isin"
            kind = "value of a category" if is_value else "column in a string argument"
            yield from ((kind, part) for part in (*node.args, *node.keywords))


def _kind(node: ast.AST, kinds: dict[ast.AST, str]) -> tuple[str, str]:
    """Return the kind of a node and its name, if it is one."""
    match node:
        case ast.Attribute(attr=name):
            return "attribute", name
        case ast.keyword(arg=str(name)):
            return "parameter", name
        case ast.Name(id=name):
            return "name of a variable", name
        case ast.Constant(value=str(name)) if "\n" not in name:
            return "file name" if _FILE.fullmatch(name) else kinds.get(node, "other"), name
    return "", ""


# Recording --------------------------------------------------------------------------------------------------


def chosen(notebooks: Sequence[TypedNotebook], places: int) -> Iterator[Trace]:
    """Choose successive cells of each notebook, with about so many positions; more include the same cells."""
    for notebook in random.Random(1).sample(notebooks, len(notebooks)):  # noqa: S311 - a reproducible choice
        cells = [from_the_top(trace) for trace in of_kind([notebook], "append", 0)]
        start = random.Random(notebook.name).randrange(len(cells))  # noqa: S311 - a reproducible choice
        taken: list[Trace] = []
        for trace in (*cells[start:], *reversed(cells[:start])):
            if sum(len(each.keystrokes) for each in taken) < places:
                taken.append(trace)
        yield from sorted(taken, key=cells.index)


def record(
    notebooks: Sequence[TypedNotebook],
    live: Live,
    settings: Turbopilot,
    log: Path,
    places: int,
    minutes: float,
) -> None:
    """Append the positions that the log lacks, for a time."""
    end = time.monotonic() + 60 * minutes
    done = {(line["notebook"], line["cell"], line["at"], line["way"]) for line in read_log(log)}
    sources = {notebook.name: notebook.sources for notebook in notebooks}
    settings.eagerness = "eager"  # generates enough for all thresholds
    with (
        closing(InProcess(settings)) as local,
        log.open("a", encoding="utf-8") as out,
        patch.object(suggestion_plan, "Gate", Watched),
    ):
        local.wait()
        for trace in chosen(notebooks, places):
            for line in _type(local, live, trace, sources[trace.name], done):
                out.write(json.dumps(line) + "\n")
                out.flush()
                if time.monotonic() > end:
                    print("There is more to do.")
                    return


def _type(
    local: InProcess, live: Live, trace: Trace, sources: Sequence[str], done: set[tuple[str, int, int, str]]
) -> Iterator[Line]:
    """Run the cells above, type a cell with and without kernel context, and yield a line per position."""
    strokes = trace.keystrokes
    cell = strokes[0].active
    if all((trace.name, cell, stroke.place, way) in done for stroke in strokes for way in WAYS):
        return
    context = live.kernel_context(trace)
    labels = {label for table in context.frames.values() for label in table.columns or ()}
    labels.update(*(table.levels for table in context.frames.values()))
    for way, kernel_context in zip(WAYS, (context, NONE), strict=True):
        local.pilot.completer.results.clear()
        for stroke in strokes:
            if (trace.name, cell, stroke.place, way) in done:
                continue
            Watched.latest = {"text": "", "ends": [0] * len(THRESHOLDS)}
            request = stroke.request(ran=True, trigger="automatic", client="typist")
            local.last(request, kernel_context)
            line = {"notebook": trace.name, "cell": cell, "at": stroke.place, "way": way} | Watched.latest
            names = ResolvedNames()
            if text := text_of(line):
                live.count_names(names, request.prefix, text)
            known = place_at(sources[cell], stroke.place).name in labels
            yield line | {"known": known, "names": [names.there, names.missing]}


def read_log(log: Path) -> list[Line]:
    """Read the positions recorded so far."""
    return [*map(json.loads, log.read_text("utf-8").splitlines())] if log.exists() else []


def text_of(line: Line, step: int = BALANCED) -> str:
    """Return the text that is shown at a threshold."""
    return str(line["text"][: line["ends"][step]]).rstrip() if line["ends"] else ""


# Summary ----------------------------------------------------------------------------------------------------


class Found:
    """The results of a log with one way."""

    def __init__(self) -> None:
        self.notebooks: dict[str, list[Tally]] = defaultdict(lambda: [Tally() for _ in THRESHOLDS])
        self.kinds: dict[str, Tally] = defaultdict(Tally)
        self.there = self.missing = 0  # names in the shown texts

    def add(self, source: str, lines: Sequence[Line]) -> None:
        """Type a cell at each threshold; the lines are its positions."""
        name, cell = lines[0]["notebook"], lines[0]["cell"]
        for step in range(len(THRESHOLDS)):
            score = Score()
            for line in lines:
                if line["at"] < score.covered(cell):
                    continue
                before, at = score.total, line["at"]
                score.total = Tally()
                score.show(cell, at, source[:at], text_of(line, step), source[at:LONGEST_CELL])
                if step == BALANCED and score.total != Tally():
                    self.kinds[_kind_of(source, line)] += score.total
                    there, missing = line["names"]
                    self.there, self.missing = self.there + there, self.missing + missing
                score.total += before
            length = min(len(source), LONGEST_CELL)
            score.typed(length, length)
            self.notebooks[name][step] += score.total

    def total(self, names: Sequence[str], step: int = BALANCED) -> Tally:
        """Return the sum over notebooks at a threshold."""
        return sum((self.notebooks[name][step] for name in names), start=Tally())

    def saved_at(self, precision: float, names: Sequence[str]) -> float:
        """Return the greatest share saved at a precision, interpolated between thresholds."""
        totals = [self.total(names, step) for step in range(len(THRESHOLDS))]
        points = [(total.precision, total.share_saved) for total in totals if total.shown]
        found = [saved for reached, saved in points if reached >= precision]
        for (low, more), (high, less) in pairwise(points):
            if low < precision <= high:
                found.append(more + (less - more) * (precision - low) / (high - low))
        return max(found, default=max(points, default=(0.0, 0.0))[1])


def _kind_of(source: str, line: Line) -> str:
    """Return the kind of place; a string is a column if the kernel knows it."""
    kind = place_at(source, line["at"]).kind
    return "another string" if kind.startswith("column") and not line["known"] else kind


def _turned(source: str, knowing: Line, unaware: Line) -> str:
    """Return what the kernel changes at a position."""
    before, future = source[: knowing["at"]], source[knowing["at"] : LONGEST_CELL]
    texts = text_of(unaware), text_of(knowing)
    was, is_now = (bool(text) and judge(text, future, before).right == 1 for text in texts)
    if was == is_now:
        return "the same"
    return "right" if is_now else "wrong" if texts[1] else "nothing"


def summarise(notebooks: Sequence[TypedNotebook], log: Path) -> Iterator[str]:
    """Yield the metrics of a log's complete cells, with 95 % intervals by notebook."""
    cells: dict[tuple[str, int], dict[str, list[Line]]] = defaultdict(lambda: {way: [] for way in WAYS})
    for line in read_log(log):
        cells[line["notebook"], line["cell"]][line["way"]].append(line)
    found, turned = {way: Found() for way in WAYS}, Counter[str]()
    sources = {notebook.name: notebook.sources for notebook in notebooks}
    for trace in of_kind(notebooks, "append", 0):
        active = trace.keystrokes[0].active
        ways, source = cells[trace.name, active], sources[trace.name][active]
        for lines in ways.values():
            lines.sort(key=lambda line: line["at"])
        if all(len(ways[way]) == len(trace.keystrokes) for way in WAYS):
            for way in WAYS:
                found[way].add(source, ways[way])
            turned.update(_turned(source, *pair) for pair in zip(*ways.values(), strict=True))
    yield from _metrics(*found.values())
    lost = f"wrong {turned['wrong']}, nothing {turned['nothing']}"
    yield f"of {turned.total()} positions, right without and with: {lost}; right only with: {turned['right']}"


def _metrics(knowing: Found, unaware: Found) -> Iterator[str]:
    names = sorted(knowing.notebooks)

    def at_equal_precision(sample: list[str]) -> float:
        precision = unaware.total(sample).precision
        return knowing.saved_at(precision, sample) / max(1e-9, unaware.saved_at(precision, sample))

    yield f"{len(names)} notebooks, {knowing.total(names).typed} keystrokes"
    for way, one in zip(WAYS, (knowing, unaware), strict=True):
        total = one.total(names)
        for title, metric in METRICS.items():
            low, high = interval([one.notebooks[name][BALANCED] for name in names], metric)
            yield f"{way}, {title}: {metric(total):.3f} ({low:.3f} to {high:.3f})"
        yield f"{way}, shown: {total.shown}, names there: {one.there}, missing: {one.missing}"
    ratio, (low, high) = at_equal_precision(names), bootstrap_interval(names, at_equal_precision)
    yield f"saved with / without, at equal precision: {ratio:.3f} ({low:.3f} to {high:.3f})"
    for kind in sorted(knowing.kinds.keys() | unaware.kinds.keys()):
        both = (f"{t.shown}, {t.right}, {t.saved}" for t in (unaware.kinds[kind], knowing.kinds[kind]))
        yield f"{kind} (shown, right, saved): {', with '.join(both)}"
