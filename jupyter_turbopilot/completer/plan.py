"""What is to be generated for a request, whatever protocol it came by."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from jupyter_turbopilot.engine.job import Priority
from jupyter_turbopilot.reply import Item, Reply, Timings
from jupyter_turbopilot.suggestion.writing import Verbatim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.cache.results import Known, Place, Results
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.generation import Sampling
    from jupyter_turbopilot.learning.outcomes import Terms
    from jupyter_turbopilot.prompt.formats import Prompt
    from jupyter_turbopilot.prompt.layout import Layout
    from jupyter_turbopilot.suggestion.writing import Writing


@dataclass(frozen=True, kw_only=True)
class Plan(ABC):
    """What is to be generated for a request: its limits, its priority, and where its answer is cached.

    A plan is made on the event loop, so making one is cheap. `prompt`, `names` and `writing` take longer:
    the worker's thread calls them, and `writing` also whoever sends an answer out of the cache.
    """

    place: Place  # where the answer is cached
    sampling: Sampling
    in_units: bool = False  # whether its length is in tokens of about three characters, not the model's own
    names_stay: bool = False  # whether `names` may not be sent to a remote engine
    n: int = 1
    best: int = 0  # of so many the likeliest are answered; 0: every one that differs
    stream: bool = False
    client: str = ""
    sequence: int = 0  # counts the requests of the client; 0: it does not count them
    cell_key: str = ""  # the document and the cell with the cursor
    session: str = ""
    language: str = ""
    priority: Priority = Priority.TYPING
    moves: bool = False  # what stands behind the cursor may be moved instead of read again
    deadline: float = 0.0
    prompt_seconds: float = 0.0
    seconds: float = 0.0
    gated: bool = False  # shown only where it is worth it
    judged: bool = False  # whether a threshold decides what is shown: that takes the tokens' probabilities
    terms: Terms | None = None  # of what appears by itself: what becomes of it says whether they were right
    answers: bool = True  # a cached answer is sent again; otherwise it is only a draft to be verified
    exact: bool = False  # asked of the engine as it stands: nothing that is known here serves as a draft
    hint: Sequence[int] = ()  # the draft that came with an exact one
    aligned: bool = True  # whether that begins where a token began
    passing: bool = False  # its prompt holds what may be deleted elsewhere: nothing of it is kept on a disk

    @abstractmethod
    def prompt(self, engine: Engine, layout: Layout) -> Prompt:
        """Lay the prompt out for an engine."""

    @abstractmethod
    def writing(self) -> Writing:
        """Begin a text that is trimmed to its place."""

    def names(self) -> Sequence[str]:
        """Return the names of which one has to follow; none: anything may."""
        return ()

    def for_owner(self, owner: str, session: str) -> Self:
        """Return the plan for one person's caches and notebook."""
        return replace(self, place=replace(self.place, owner=owner), session=session)

    @property
    def remembered(self) -> bool:
        """Whether its answer is worth caching: the likeliest text, which may be asked for again."""
        return self.sampling.plain and not self.exact

    def find_cached(self, results: Results) -> Known | None:
        """Return what the cache has, where the likeliest text is what is asked for."""
        return results.find(self.place) if self.remembered else None

    def is_answered_by(self, known: Known) -> bool:
        """Return whether what is known needs no computing."""
        return known.complete and self.answers and self.n == 1 and self.sampling.max_tokens > 0


def replay(name: str, model: str, plan: Plan, known: Known) -> Reply:
    """Answer with a cached completion, through the same trimming and the same gate."""
    begun = time.perf_counter()
    writing = plan.writing()
    if known.typed:
        writing.resume(known.tokens)
    else:
        writing.take(known.tokens)
    reason = "stop" if known.ended or writing.done else "length"
    writing.finish(whole=reason == "stop")
    items = (item_of(writing, reason),) if writing.shown else ()
    timings = Timings(total_ms=(time.perf_counter() - begun) * 1000)
    return Reply(name, model, items, timings, passing=writing.undecided)


def item_of(writing: Writing, reason: str, index: int = 0) -> Item:
    """Return what a text shows so far."""
    stopped = writing.stopped_by if isinstance(writing, Verbatim) else ""
    tokens = tuple(writing.tokens)
    return Item(writing.shown, round(writing.confidence, 4), reason, index, stopped, tokens, writing.imports)
