"""What is to be written for a request, whatever protocol it came by."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.job import Priority
from jupyter_turbopilot.reply import Item, Reply, Timings
from jupyter_turbopilot.suggestion.writing import Verbatim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.completer.outcomes import Terms
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.generation import Sampling
    from jupyter_turbopilot.memory.cells import Choice
    from jupyter_turbopilot.memory.recall import Recalled
    from jupyter_turbopilot.prompt.formats import Prompt
    from jupyter_turbopilot.prompt.layout import Layout
    from jupyter_turbopilot.suggestion.cache import Known, Place, Results
    from jupyter_turbopilot.suggestion.writing import Writing

    LayoutFor = Callable[[Engine], Layout]


@dataclass(frozen=True)
class Recollection:
    """What memory says: cells for the prompt, and how the line goes on."""

    cells: Choice
    line: Recalled | None = None
    known: Reply | None = None  # an answer that is known already
    settled: bool = True  # whether it says the same the next time, as long as nothing is written or deleted


@dataclass(frozen=True)
class Task:
    """What is to be written for a request. Its functions are called on the worker's thread."""

    prompt: Callable[[Engine], Prompt]
    writing: Callable[[], Writing]
    place: Place
    sampling: Sampling
    in_units: bool = False  # whether its length is in tokens of about three characters, not the model's own
    names: Callable[[], Sequence[str]] = tuple  # where only some can follow: one of these does
    names_stay: bool = False  # those names may not be told to a server elsewhere
    n: int = 1
    best: int = 0  # of so many the likeliest are answered; 0: every one that differs
    stream: bool = False
    client: str = ""
    language: str = ""
    priority: Priority = Priority.TYPING
    moves: bool = False  # what stands behind the cursor may be moved instead of read again
    deadline: float = 0.0
    prompt_seconds: float = 0.0
    seconds: float = 0.0
    gated: bool = False  # shown only where it is worth it
    judged: bool = False  # whether a threshold decides what is shown: that takes the tokens' probabilities
    terms: Terms | None = None  # of what appears by itself: what becomes of it says whether they were right
    answers: bool = True  # a known answer is given again; otherwise it is only a guess to be verified
    exact: bool = False  # asked of the engine as it stands: nothing that is known here serves as a guess
    hint: Sequence[int] = ()  # the guess that came with an exact one
    aligned: bool = True  # whether that begins where a token began
    recall: Callable[[], Recollection] | None = None  # what memory is asked before the engine is
    joined: Callable[[Task, Recollection | None], Task] = lambda task, _: task  # with what that said in time
    passing: bool = False  # its prompt holds what may be deleted elsewhere: nothing of it is kept on a disk
    document: str = ""
    session: str = ""

    @property
    def remembered(self) -> bool:
        """Tell whether its answer is worth remembering: the likeliest text, which may be asked for again."""
        return self.sampling.plain and not self.exact

    def follows(self, anchor: Place) -> bool:
        """Tell whether what is asked for can follow a prompt that was laid out for another key."""
        place = self.place
        same = (anchor.group, anchor.after, anchor.limit) == (place.group, place.after, place.limit)
        return same and self.n == 1 and self.remembered

    def look_up(self, results: Results) -> Known | None:
        """Return what is known to follow, where the likeliest text is what is asked for."""
        return results.find(self.place) if self.remembered else None

    def is_answered_by(self, known: Known) -> bool:
        """Tell whether what is known needs no computing."""
        return known.complete and self.answers and self.n == 1 and self.sampling.max_tokens > 0


def replay(name: str, model: str, task: Task, known: Known) -> Reply:
    """Answer with a cached completion, through the same trimming and the same gate."""
    begun = time.perf_counter()
    writing = task.writing()
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
