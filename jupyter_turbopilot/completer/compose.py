"""How an answer comes about: prompt, tokens, trimming, further answers, ranking; one task at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.engine.job import DEADLINE
from jupyter_turbopilot.engine.queue import Priority
from jupyter_turbopilot.generation import Ask, Beginning, Sampling, Token, Usage
from jupyter_turbopilot.prompt.formats import Prompt
from jupyter_turbopilot.reply import Item, Reply, Timings
from jupyter_turbopilot.suggestion.adoption import Rest, rest_of, typed_since
from jupyter_turbopilot.suggestion.candidates import branches
from jupyter_turbopilot.suggestion.writing import Verbatim

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.suggestion.cache import Known, Place, Results
    from jupyter_turbopilot.suggestion.writing import Writing

Listener = Callable[[Reply], None]
CAUGHT_UP = 32  # bytes that were typed before they were written: more than that was not typed


@dataclass(frozen=True)
class Task:
    """What is to be written for a request, whatever protocol it came by."""

    prompt: Callable[[Engine], Prompt]
    writing: Callable[[], Writing]
    place: Place
    sampling: Sampling
    names: Callable[[], Sequence[str]] = tuple  # where only some can follow: one of these does
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
    answers: bool = True  # a known answer is given again; otherwise it is only a guess to be verified
    document: str = ""

    def follows(self, anchor: Place) -> bool:
        """Tell whether what is asked for can follow a prompt that was laid out for another key."""
        same = (anchor.group, anchor.limit) == (self.place.group, self.place.limit)
        return same and self.n == 1 and self.sampling.plain

    def is_answered_by(self, known: Known) -> bool:
        """Tell whether what is known needs no computing."""
        return known.complete and self.answers and self.n == 1 and self.sampling.max_tokens > 0


@dataclass
class Progress:
    """What is being written for an editor: its next request may go on with it."""

    name: str = ""  # the answer it is written for
    place: Place | None = None
    writing: Writing | None = None
    ask: Ask | None = None  # what is computed; None: nothing any more
    prompt: Prompt | None = None
    ids: list[int] = field(default_factory=list)  # all that was written behind the prompt
    ahead: bytes = b""  # what was typed at the place and is to be written yet

    @property
    def tokens(self) -> Sequence[Token]:
        """What was written from the place on."""
        return self.writing.tokens if self.writing else ()

    @property
    def begun(self) -> bool:
        """Whether something of what is computed was written, or typed before that."""
        return bool(self.ask and (self.tokens or self.ahead))

    def rest(self, place: Place) -> Rest | None:
        """Return what is left of what was written, at another place; None where that contradicts it."""
        typed = typed_since(self.place, place) if self.place else None
        return None if typed is None else rest_of(self.tokens, self.ahead + typed.encode())

    def keep(self, results: Results) -> None:
        """Keep what was written as a guess at what follows its place: nobody goes on with it."""
        if self.place and self.tokens:
            results.remember(self.place, self.tokens, ended=False, guess=True)
        self.writing = self.ask = None
        self.ahead = b""


class _Opening(NamedTuple):
    """What a text begins with."""

    ask: Ask
    rest: Rest = Rest(())  # what of it is written already
    adopted: bool = False  # whether an earlier request has it computed


class Answering:
    """Writes what a task asks for, or goes on with what is being written for its editor already."""

    def __init__(
        self, name: str, task: Task, engine: Engine, job: Job, listener: Listener, results: Results
    ) -> None:
        self._name = name
        self._task = task
        self._engine = engine
        self._job = job
        self._progress: Progress = job.progress
        self._listener = listener
        self._results = results
        self._items: list[Item] = []
        self._spent = 0  # tokens
        self._sure = True  # whether a prompt of its own would be answered with no more
        self.taken_over = False  # whether it went on with what was being written
        self.ended = False  # whether it did not, although that agreed with what was typed

    def write(self) -> Generator[Ask, list[Token], Reply]:
        """Yield what is to be computed, be sent the tokens."""
        begun = time.perf_counter()
        task, job, progress = self._task, self._job, self._progress
        known = self._results.find(task.place) if task.sampling.plain else None
        if known and task.is_answered_by(known):
            return replay(self._name, self._engine.name, task, known)
        rest = progress.rest(task.place)
        opening = self._adopted(rest) or self._asked(known, rest)
        first, self.taken_over = opening.ask, opening.adopted
        prompt = progress.prompt or Prompt([])
        context_ms = (time.perf_counter() - begun) * 1000
        if task.prompt_seconds:
            # What each key has read anew is read: the next request could not go on from there.
            job.read_by, job.read_but = time.monotonic() + task.prompt_seconds, prompt.behind
        progress.name, progress.place = self._name, task.place if task.sampling.plain else None
        try:
            writing, whole = yield from self._text(opening, progress)
            if not self._sure and not writing.shown and not job.cancel.is_set():
                progress.keep(self._results)
                opening = self._asked(self._results.find(task.place), None)
                first = opening.ask
                writing, whole = yield from self._text(opening, progress)
            if progress.place and task.sampling.max_tokens and not (job.stopped or progress.ahead):
                progress.writing = None
                self._results.remember(task.place, writing.tokens, ended=whole and not writing.gave_up)
        finally:
            if progress.name == self._name:
                progress.keep(self._results)
        for other in _alternatives(first, task, writing.tokens, self._engine):
            if job.cancel.is_set():
                break
            yield from self._text(other, Progress())
        waited = (job.started_at - job.queued_at) * 1000
        total = waited + (time.perf_counter() - begun) * 1000
        cost = vars(first.usage) | {"predicted_tokens": self._spent}
        if opening.adopted:
            cost["prompt_ms"] = 0.0  # that was an earlier request's time
        timings = Timings(queue_ms=waited, context_ms=context_ms, total_ms=total, **cost)
        full = len(first.prompt) + len(writing.tokens) >= self._engine.context_size
        items = tuple(_ranked(self._items, task))
        return Reply(self._name, self._engine.name, items, timings, truncated=prompt.cut or full)

    def _adopted(self, rest: Rest | None) -> _Opening | None:
        """Go on with what is being written for the editor, where that is an answer to the task."""
        progress, task = self._progress, self._task
        if not rest or not progress.ask or not progress.place or not progress.begun:
            return None
        if len(rest.ahead) > CAUGHT_UP or not task.follows(progress.place):
            return None
        names, written = [name.encode() for name in task.names()], b"".join(t.data for t in rest.tokens)
        # What was held to names from its beginning becomes one of them.
        held = bool(progress.ask.sampling.beginning.ways)
        if names and not any(
            written.startswith(name) or (held and written and name.startswith(written)) for name in names
        ):
            return None
        return _Opening(progress.ask, rest, adopted=True)

    def _asked(self, known: Known | None, rest: Rest | None) -> _Opening:
        """Ask from the prompt on."""
        task, progress = self._task, self._progress
        self.ended = self.ended or bool(rest and progress.begun)
        progress.keep(self._results)
        prompt = task.prompt(self._engine)
        progress.prompt, progress.ids = prompt, []
        return _Opening(self._ask(prompt.tokens, prompt.forced, known, rest))

    def _ask(self, tokens: Sequence[int], forced: bytes, known: Known | None, rest: Rest | None) -> Ask:
        """Ask for what follows; what is known of it, or was written for another key, is verified first."""
        task, engine, prompt = self._task, self._engine, self._progress.prompt
        guess, aligned, hint = "", True, []
        if known:
            guess, aligned = known.text, known.aligned
        elif rest and rest.tokens:
            guess = b"".join(token.data for token in rest.tokens).decode("utf-8", "ignore")
            aligned = rest.whole
        if known or guess:
            # What was backed up over is written again before the rest.
            hint = engine.tokenize(forced.decode("utf-8", "ignore") + guess, behind=True)
        if known and known.ended:
            hint = hint[:-1]  # what comes after the end is nobody's
        sampling = replace(task.sampling, beginning=_beginning(forced, task.names()))
        suffix_span = prompt.suffix_span if prompt and task.moves else (0, 0)
        return Ask(tokens, sampling, Usage(), hint, aligned or bool(forced), suffix_span, task.language)

    def _text(
        self, opening: _Opening, progress: Progress
    ) -> Generator[Ask, list[Token], tuple[Writing, bool]]:
        """Write one text; tell whether it is whole."""
        task, job, ask = self._task, self._job, opening.ask
        writing = progress.writing = task.writing()
        written = opening.rest.tokens
        progress.ahead, self._sure = opening.rest.ahead, opening.rest.sure
        if (opening.adopted or written) and writing.resume(written) and opening.adopted:
            self._tell(writing)
        while True:
            progress.ask = ask
            cut, ended = yield from self._compute(ask, writing, progress)
            left = task.sampling.max_tokens - len(writing.tokens)
            prompt = [*(progress.prompt.tokens if progress.prompt else ()), *progress.ids]
            if cut or ended or not opening.adopted or left <= 0 or len(prompt) >= self._engine.context_size:
                break
            # It was to be as long as an earlier request wanted it.
            sampling = replace(task.sampling, max_tokens=left)
            ask = replace(ask, prompt=prompt, sampling=sampling, usage=Usage(), hint=())
        whole = ended and not cut
        reason = DEADLINE if job.cancel.reason == DEADLINE else "stop" if whole else "length"
        writing.finish(whole=reason == "stop")
        item = _item(writing, reason, len(self._items))
        if task.best or (item.text and all(item.text != other.text for other in self._items)):
            self._items.append(item)
        return writing, whole

    def _compute(
        self, ask: Ask, writing: Writing, progress: Progress
    ) -> Generator[Ask, list[Token], tuple[bool, bool]]:
        """Take what is written for an ask; tell whether it was cut short, and whether the text has ended."""
        task, job = self._task, self._job
        most = min(ask.sampling.max_tokens, self._engine.context_size - len(ask.prompt))
        # Of what an earlier request has computed some was written by then.
        sent = ask.usage.predicted_tokens
        cut = False
        while ask.prompt and not writing.done and not cut and (tokens := (yield ask)):
            job.read_by = 0.0
            sent += len(tokens)
            progress.ids += [token.id for token in tokens]
            if progress.ahead:
                if not (rest := rest_of(tokens, progress.ahead)):
                    cut = True  # something else was typed
                    break
                tokens, progress.ahead = [*rest.tokens], rest.ahead
                self._sure = rest.sure
            if tokens and writing.take(tokens):
                self._tell(writing)
            # A line is written to its end, as llama.cpp's server does.
            late = 0 < task.seconds * 1000 < ask.usage.predicted_ms
            cut = late and any(b"\n" in token.data for token in tokens)
        job.read_by = 0.0
        # Behind a stop text what a guess was verified for is nobody's.
        stopped = isinstance(writing, Verbatim) and writing.done
        self._spent += len(writing.tokens) if stopped else ask.usage.predicted_tokens
        return cut, writing.done or sent < most

    def _tell(self, writing: Writing) -> None:
        """Tell whoever listens that there is more to show."""
        if self._task.stream and not self._job.cancel.is_set():
            item = _item(writing, "streaming", len(self._items))
            self._listener(Reply(self._name, self._engine.name, (item,)))


def _alternatives(first: Ask, task: Task, tokens: Sequence[Token], engine: Engine) -> list[_Opening]:
    """Return how further answers are asked for, and how they begin: drawn anew, or branching off."""

    def another(begun: Sequence[Token] = (), **changed: Any) -> _Opening:
        prompt = [*first.prompt, *(token.id for token in begun)]
        sampling = replace(first.sampling, **changed)
        ask = replace(first, prompt=prompt, sampling=sampling, usage=Usage(), hint=())
        return _Opening(ask, Rest(tuple(begun)))

    if task.best or task.sampling.temperature:
        return [another(seed=task.sampling.seed + number) for number in range(1, task.n)]
    found = []
    for begun, banned in branches(tokens, task.n - 1):
        written = b"".join(engine.piece(token.id) for token in begun)
        beginning = replace(first.sampling.beginning.after(written), banned=banned)
        left = max(1, task.sampling.max_tokens - len(begun))
        found.append(another(begun, max_tokens=left, beginning=beginning))
    return found


def _beginning(typed: bytes, names: Sequence[str]) -> Beginning:
    """Return what a text begins with: what is typed already, and one of the names that can follow."""
    ways = tuple(typed + name.encode() for name in names) or ((typed,) if typed else ())
    return Beginning(ways, len(typed))


def replay(name: str, model: str, task: Task, known: Known) -> Reply:
    """Answer with what is known, through the same trimming and the same gate."""
    begun = time.perf_counter()
    writing = task.writing()
    if known.typed:
        writing.resume(known.tokens)
    else:
        writing.take(known.tokens)
    reason = "stop" if known.ended or writing.done else "length"
    writing.finish(whole=reason == "stop")
    items = (_item(writing, reason),) if writing.shown else ()
    return Reply(name, model, items, Timings(total_ms=(time.perf_counter() - begun) * 1000))


def _item(writing: Writing, reason: str, index: int = 0) -> Item:
    stopped = writing.stopped_by if isinstance(writing, Verbatim) else ""
    return Item(writing.shown, round(writing.confidence, 4), reason, index, stopped, tuple(writing.tokens))


def _ranked(items: list[Item], task: Task) -> list[Item]:
    """Put the best first; of texts that were drawn for the best of them, keep so many."""
    if task.best:
        if len(items) > task.best:
            items = sorted(items, key=lambda item: -_likelihood(item))[: task.best]
        return [replace(item, index=index) for index, item in enumerate(items)]
    return items if task.sampling.temperature else sorted(items, key=lambda item: -item.confidence)


def _likelihood(item: Item) -> float:
    """Return the mean logarithm of a text's tokens."""
    chances = [math.log(max(1e-12, token.probability)) for token in item.tokens]
    return sum(chances) / len(chances) if chances else 0.0
