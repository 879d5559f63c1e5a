"""The gain of the notebook index: the same cells typed without and with it, compared at the same precision.

The index contains other notebooks, except near-duplicates of the typed one.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.index.entries import lines_of, page_of
from jupyter_turbopilot.index.excluded import MOST_BYTES, is_wanted, is_wanted_folder
from jupyter_turbopilot.index.reader import NotebookIndex
from jupyter_turbopilot.index.store import SCHEMA, IndexStore
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.suggestion.gate_fit import fit_for
from turbopilot_research.evaluate.replay import TypingResult, with_index
from turbopilot_research.evaluate.scoring import saved_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.index.entries import Page
    from jupyter_turbopilot.terminal.in_process import InProcess
    from jupyter_turbopilot.util.notebook_file import Notebook
    from turbopilot_research.evaluate.traces import Trace

    FakeIndex = Callable[[str], NotebookIndex | None]

SIBLINGS = "siblings"
SIBLING_SEPARATOR = "__"  # siblings have the same name up to this separator
STEP = 0.05  # change of the model's threshold in the search for the same precision
MOST = 4  # maximum number of steps
OTHER_STEPS = (-STEP, STEP)  # other thresholds for replaying without the index


@dataclass(frozen=True)
class Other:
    """A file that may be indexed."""

    path: str
    text: str
    modified: float

    @cached_property
    def page(self) -> Page:
        """The index entries of the file."""
        return page_of(self.path, self.text)

    @cached_property
    def lines(self) -> frozenset[str]:
        """The indexed lines of the file."""
        return frozenset(line.text for entry in self.page.entries for line in lines_of(entry.source))


def of_notebook(notebook: Notebook, modified: float) -> Other:
    """Return a notebook as a file."""
    cells = [{"cell_type": cell.type, "source": cell.source} for cell in notebook.cells]
    metadata = {"language_info": {"name": notebook.language}}
    return Other(notebook.name, json.dumps({"cells": cells, "metadata": metadata}), modified)


def in_folder(folder: Path) -> Iterator[Other]:
    """Iterate over the indexable files of a folder; skip unreadable files."""
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(filter(is_wanted_folder, folders))
        for name in sorted(names):
            path = Path(at, name)
            relative = path.relative_to(folder).as_posix()
            try:
                # Reading a pipe or a device would block.
                if is_wanted(relative) and path.is_file() and path.stat().st_size <= MOST_BYTES:
                    yield Other(relative, path.read_text("utf-8"), path.stat().st_mtime)
            except (OSError, ValueError):
                continue


def is_near_duplicate(one: Other, other: Other) -> bool:
    """Return whether half of the lines of either file occur in the other."""
    return 2 * len(one.lines & other.lines) >= min(len(one.lines), len(other.lines))


class IndexShelf:
    """The index for each typed notebook: a folder, or notebooks with the same name up to a separator."""

    def __init__(self, source: str, notebooks: Sequence[Notebook]) -> None:
        now = time.time()
        self._typed = {notebook.name: of_notebook(notebook, now) for notebook in notebooks}
        self._siblings = source == SIBLINGS
        if not self._siblings and not Path(source).is_dir():
            raise BadRequestError(f"There is no folder {source}. Pass an existing one, or `{SIBLINGS}`.")
        self._others = [*self._typed.values()] if self._siblings else [*in_folder(Path(source))]
        self._folder = tempfile.TemporaryDirectory(prefix="turbopilot-")
        self._indexes: dict[str, Path] = {}
        self._readers: dict[str, NotebookIndex] = {}

    def index_for(self, name: str) -> NotebookIndex:
        """Return the index to use while a notebook is typed."""
        if name not in self._readers:
            there = frozenset(other.path for other in self.others(name))
            self._readers[name] = NotebookIndex(self._index(self._family(name)), there.intersection)
        return self._readers[name]

    def _family(self, name: str) -> str:
        return name.partition(SIBLING_SEPARATOR)[0] if self._siblings else ""

    def _index(self, family: str) -> Path:
        """Return the index of a family, or of the whole folder."""
        if family not in self._indexes:
            self._indexes[family] = path = Path(self._folder.name, f"{len(self._indexes)}.db")
            SCHEMA.prepare(path)
            with closing(IndexStore(path)) as store:
                for other in self._others:
                    if self._family(other.path) == family:
                        store.put(other.path, "", other.modified, other.page)
        return self._indexes[family]

    def others(self, name: str) -> list[Other]:
        """Return the files that are neither the notebook itself nor near-duplicates."""
        typed = self._typed[name]
        return [
            other
            for other in self._others
            if other.path != name
            and self._family(other.path) == self._family(name)
            and not is_near_duplicate(other, typed)
        ]

    def close(self) -> None:
        """Delete the indexes."""
        for reader in self._readers.values():
            reader.close()
        self._folder.cleanup()


@dataclass(frozen=True)
class IndexGain:
    """The results without and with the index, at several thresholds of the model's suggestions."""

    without: dict[float, TypingResult]  # by the change of the threshold
    with_it: dict[float, TypingResult]

    @property
    def wanted(self) -> float:
        """The precision to reach: that without the index."""
        return self.without[0.0].total.precision

    @property
    def reached(self) -> bool:
        """Whether any threshold reaches that precision with the index."""
        return any(typed.total.precision >= self.wanted for typed in self.with_it.values())

    def moved(self, found: dict[float, TypingResult]) -> float:
        """Return the threshold that saves most at that precision, or else the most precise one."""
        good = [by for by, typed in found.items() if typed.total.precision >= self.wanted]
        if not good:
            return max(found, key=lambda by: found[by].total.precision)
        return max(good, key=lambda by: found[by].total.saved)

    @property
    def ways(self) -> dict[str, TypingResult]:
        """The results by the name of the configuration."""
        return {
            f"{way}, threshold {by:+.2f}" if by else way: typed
            for way, found in (("without index", self.without), ("with index", self.with_it))
            for by, typed in sorted(found.items(), key=lambda pair: (abs(pair[0]), pair[0]))
        }

    @property
    def summary(self) -> str:
        """Summarise the comparison."""
        first, second = self.without[0.0], self.with_it[0.0]
        by, by_it = self.moved(self.without), self.moved(self.with_it)
        one, other = self.without[by], self.with_it[by_it]
        index, shown_ms = second.from_index, statistics.median(second.from_index_ms or [0.0])
        # Accepted text needs no requests: compare only positions that were requested in both configurations.
        both = first.key_ms.keys() & second.key_ms.keys()
        key, key_with = (
            statistics.fmean([typed.key_ms[where] for where in both] or [0.0]) for typed in (first, second)
        )
        focus, focus_with = (statistics.fmean(typed.focus_ms or [0.0]) for typed in (first, second))
        how = (
            f"At a precision of {self.wanted:.3f} or above"
            if self.reached
            else f"With the index, no threshold reaches a precision of {self.wanted:.3f}. At the best one"
        )
        return (
            f"{how}, the index saves {saved_ratio(other.notebooks, one.notebooks)}: "
            f"{other.total.share_saved:.3f} (precision {other.total.precision:.3f}, threshold {by_it:+.2f}) "
            f"against {one.total.share_saved:.3f} ({one.total.precision:.3f}, {by:+.2f}). Of {index.shown} "
            f"suggestions from the index alone, {index.precision:.3f} were correct; their median latency "
            f"was {shown_ms:.1f} ms. A position requested in both configurations took {key_with:.0f} ms on "
            f"average with the index, {key:.0f} ms without ({key_with / max(1e-9, key):.3f} times), requests "
            f"{sum(second.ms) / 1000:.0f} and {sum(first.ms) / 1000:.0f} seconds, the warm-up of a cell "
            f"{focus_with:.0f} and {focus:.0f} ms."
        )


def measure(
    local: InProcess,
    traces: Sequence[Trace],
    eagerness: str,
    remembering: Callable[[str], NotebookIndex],
    telling: Callable[[str], Callable[[str], None]],
    tell: Callable[[str, TypingResult, str], None],
) -> IndexGain:
    """Replay without and with the index, alternating by trace, then at other thresholds.

    `tell` receives the result of each pass, and the comparison so far.
    """
    model = local.pilot.worker.state.model
    without, with_it = alternate(local, traces, remembering, telling("alternating"))
    gain = IndexGain({0.0: without}, {0.0: with_it})
    tell("without index", without, "")
    tell("with index", with_it, gain.summary)

    def at(by: float, way: str, found: dict[float, TypingResult], index: FakeIndex) -> float:
        way = f"{way}, threshold {by:+.2f}"
        with changed_threshold(model, eagerness, by):
            found[by], tell_trace = TypingResult(), telling(way)
            for trace in traces:
                with_index(local, trace, found[by], index(trace.name))
                tell_trace(trace.name)
        tell(way, found[by], gain.summary)
        return found[by].total.precision

    wanted = gain.wanted
    step = -STEP if with_it.total.precision >= wanted else STEP
    for number in range(1, MOST + 1):
        reached = at(step * number, "with index", gain.with_it, remembering) >= wanted
        if reached == (step > 0):
            break
    for by in OTHER_STEPS:
        at(by, "without index", gain.without, lambda _: None)
    return gain


def alternate(
    local: InProcess,
    traces: Sequence[Trace],
    remembering: Callable[[str], NotebookIndex],
    tell: Callable[[str], None],
) -> tuple[TypingResult, TypingResult]:
    """Replay each trace without and with the index, so that both run under the same conditions."""
    without, with_it = TypingResult(), TypingResult()
    for number, trace in enumerate(traces):
        ways = ((without, None), (with_it, remembering(trace.name)))
        for typed, notebook_index in ways[:: -1 if number % 2 else 1]:
            # Clear the cache: cached completions would distort time and text.
            local.pilot.completer.results.clear()
            with_index(local, trace, typed, notebook_index)
        tell(trace.name)
    return without, with_it


@contextmanager
def changed_threshold(model: str, eagerness: str, moved: float) -> Iterator[None]:
    """Change a gate threshold temporarily."""
    thresholds = fit_for(model).thresholds
    before = thresholds[eagerness]
    thresholds[eagerness] = min(0.975, max(0.0, before + moved))
    try:
        yield
    finally:
        thresholds[eagerness] = before
