"""The plan of a request, for all protocols."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from jupyter_turbopilot.analysis.kernel_context import NONE, KernelContext
from jupyter_turbopilot.engine.job import Priority
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.suggestion.readable import NO_READINGS, Readings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.completer.cache.completion_cache import CachedCompletion, CacheKey
    from jupyter_turbopilot.index.reader import NotebookIndex
    from jupyter_turbopilot.prompt.formats import Prompt
    from jupyter_turbopilot.prompt.layout import Layout
    from jupyter_turbopilot.protocol.engine_request import ExactRequest, Sampling
    from jupyter_turbopilot.protocol.reply import Item
    from jupyter_turbopilot.suggestion.lookup import LineMatch
    from jupyter_turbopilot.suggestion.writing import Writing


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What a request may use. It is decided once, when the request arrives."""

    caller: str = ""  # for fair scheduling: a request never ends a request of another caller
    tenant: str = ""  # whose caches may serve the request; empty on a single-user server
    level: Level = Level.NONE  # of load shedding
    notebook_index: NotebookIndex | None = None  # None if the caller may not read it
    kernel_context: KernelContext = NONE
    readings: Readings = NO_READINGS


LOCAL = Admission()  # of the user's own process


@dataclass(frozen=True)
class Matches:
    """The result of a look-up in the index: a continuation of the line."""

    line: LineMatch | None = None
    settled: bool = True  # whether the look-up was complete: it returns the same until the index changes


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a request's texts."""

    sampling: Sampling
    in_units: bool = False  # whether `max_tokens` counts tokens of about three characters, not the model's
    n: int = 1
    best: int = 0  # how many of the `n` texts to return, the most likely; 0: all that differ
    deadline: float = 0.0  # seconds
    prompt_seconds: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Plan(ABC):
    """The parameters of a request: limits, priority, and the key of its cache entry.

    A plan is made once, on the event loop, so making one is cheap: nothing is parsed. Its methods take longer
    and run on other threads, most on the worker's.
    """

    cache_key: CacheKey
    limits: Limits
    stream: bool = False
    client: str = ""
    sequence: int = 0  # the client's number for the request; 0: the client does not number them
    cell_key: str = ""  # the document and the cell with the cursor
    session: str = ""
    priority: Priority = Priority.TYPING
    moves: bool = False  # whether KV cells may be moved instead of evaluated again
    automatic: bool = False  # whether the editor sends it while the user types
    exact: ExactRequest | None = None  # prompt and draft, which are sent to the engine unchanged
    asks_index: bool = False  # whether to query the index before the engine
    is_judged: bool = False  # whether the gate has a threshold, which requires the tokens' probabilities
    replays: bool = False  # whether a cached completion may be the answer; otherwise it is only a draft
    evaluates_whole: bool = True  # whether the prompt has its whole length on a slow machine, too
    known: tuple[Item, ...] | None = None  # the answer, if it was read and so is not generated
    names_may_leave: bool = True  # whether a remote server may receive the names: the kernel may know them

    @abstractmethod
    def prompt(self, layout: Layout, max_tokens: int = 0) -> Prompt:
        """Return the prompt. `max_tokens`: before the cursor; 0: the setting."""

    @abstractmethod
    def writing(self, *, waits: bool = True) -> Writing:
        """Return an empty text, which trims the tokens that it takes.

        `waits`: whether it may wait for the look-up thread.
        """

    def names(self) -> Sequence[str]:
        """Return the names of which one must follow; empty if there is no such constraint."""
        return ()

    def match(self) -> Matches:
        """Query the index."""
        return Matches()

    @property
    def is_cacheable(self) -> bool:
        """Whether the answer is cached: only texts without sampling are the same each time."""
        return self.limits.sampling.plain and not self.exact

    def for_whole_prompt(self) -> Self:
        """Return the plan that only evaluates the whole prompt, when there is no other work."""
        return replace(
            self,
            limits=Limits(sampling=replace(self.limits.sampling, max_tokens=0)),
            stream=False,
            client=f"{self.client} whole",  # its own, so that keystrokes do not supersede it
            sequence=0,
            priority=Priority.WARMUP,
            automatic=False,
            replays=False,
            evaluates_whole=True,
        )

    def may_be_answered_by(self, cached: CachedCompletion) -> bool:
        """Return whether the beginning of an answer may be enough, because its probabilities apply."""
        return cached.aligned and self.is_judged and self.replays and not self.names()
