"""Composing an answer on the worker's thread: prompt, tokens, trimming, further answers, ranking."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.completer.alternatives import Opening, alternatives, ranked
from jupyter_turbopilot.completer.progress import AnswerInProgress, Rest, rest_of
from jupyter_turbopilot.completer.task import item_of, replay
from jupyter_turbopilot.engine.job import DEADLINE, YIELDED
from jupyter_turbopilot.generation import Ask, Beginning, Token, Usage
from jupyter_turbopilot.prompt.formats import Prompt
from jupyter_turbopilot.reply import Item, Reply, Timings
from jupyter_turbopilot.suggestion.writing import Verbatim

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from jupyter_turbopilot.completer.task import Task
    from jupyter_turbopilot.completer.waiting import Listener
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.suggestion.cache import Known, Results
    from jupyter_turbopilot.suggestion.writing import Writing

CAUGHT_UP = 32  # bytes that were typed before they were written: more than that was not typed


class Composer:
    """Writes what a task asks for, or goes on with what is being written for its editor already."""

    def __init__(
        self,
        name: str,
        task: Task,
        engine: Engine,
        job: Job,
        listener: Listener,
        results: Results,
        recalled: str = "",
    ) -> None:
        """`recalled` is how the line goes on as far as memory knows: a guess, where there is no better."""
        self._name = name
        self._task = task
        self._engine = engine
        self._job = job
        self._progress: AnswerInProgress = job.progress
        self._listener = listener
        self._results = results
        self._abilities = abilities = engine.abilities
        # What the kernel knows may not leave, not even as what a text may begin with.
        self._holds_to_names = abilities.holds and not (abilities.elsewhere and task.names_stay)
        self._recalled = recalled
        unit = engine.vocabulary.unit if task.in_units else 1
        self._sampling = replace(task.sampling, max_tokens=task.sampling.max_tokens * unit)
        self._items: list[Item] = []
        self._spent = 0  # tokens
        self._undecided = False  # whether any text may be shown further, or not so far, the next time
        self._sure = True  # whether a prompt of its own would be answered with no more
        self.taken_over = False  # whether it went on with what was being written
        self.ended = False  # whether it did not, although that agreed with what was typed

    @property
    def _urgency(self) -> str:
        """Who waits, in the words of another server: the job may have become bulk."""
        return self._job.priority.name.lower()

    def write(self) -> Generator[Ask, list[Token], Reply]:
        """Yield what is to be computed, be sent the tokens; return the whole answer."""
        begun = time.perf_counter()
        task = self._task
        if self._is_beyond():
            return Reply(self._name, self._engine.name)
        known = task.look_up(self._results)
        if known and task.is_answered_by(known):
            return replay(self._name, self._engine.name, task, known)
        rest = self._progress.rest(task.place)
        opening = self._adopted(rest) or self._asked(known, rest)
        self.taken_over, prompt = opening.adopted, self._progress.prompt or Prompt([])
        context_ms = (time.perf_counter() - begun) * 1000
        self._limit_reading(prompt)
        opening, writing = yield from self._first(opening)
        yield from self._further(opening.ask, writing.tokens)
        timings = self._timings(opening, begun, context_ms)
        full = len(opening.ask.prompt) + len(writing.tokens) >= self._engine.context_size
        items = tuple(ranked(self._items, task))
        cut = prompt.cut or full
        return Reply(self._name, self._engine.name, items, timings, truncated=cut, passing=self._undecided)

    def _is_beyond(self) -> bool:
        """Tell whether the engine cannot do what is asked for; what nobody waits for is given up."""
        task, abilities = self._task, self._abilities
        abilities.check(task.sampling)
        if not (task.priority.awaited or abilities.ahead):
            self._job.cancel.set(YIELDED)
            return True
        return task.judged and not abilities.chances

    # Where it begins ----------------------------------------------------------------------------------------

    def _adopted(self, rest: Rest | None) -> Opening | None:
        """Go on with what is being written for the editor, where that is an answer to the task."""
        progress, task = self._progress, self._task
        if not rest or not progress.ask or not progress.place or not progress.begun:
            return None
        if len(rest.ahead) > CAUGHT_UP or not task.follows(progress.place):
            return None
        if not self._becomes_a_name(progress.ask, b"".join(token.data for token in rest.tokens)):
            return None
        return Opening(progress.ask, rest, adopted=True)

    def _names(self) -> Sequence[str]:
        """Return the names of which one has to follow, where the engine can be held to them."""
        return self._task.names() if self._holds_to_names else ()

    def _becomes_a_name(self, ask: Ask, written: bytes) -> bool:
        """Tell whether what is written is, or will be, one of the names that can follow, if only some can."""
        names = [name.encode() for name in self._names()]
        # What was held to names from its beginning becomes one of them.
        constrained = bool(ask.sampling.beginning.ways and written)
        return not names or any(
            written.startswith(name) or (constrained and name.startswith(written)) for name in names
        )

    def _asked(self, known: Known | None, rest: Rest | None) -> Opening:
        """Ask from the prompt on."""
        progress = self._progress
        self.ended = self.ended or bool(rest and progress.begun)
        progress.keep(self._results)
        progress.prompt, progress.ids = self._task.prompt(self._engine), []
        return Opening(self._ask(progress.prompt, known, rest))

    def _ask(self, prompt: Prompt, known: Known | None, rest: Rest | None) -> Ask:
        """Ask for what follows; what is known of it, or was written for another key, is verified first."""
        task, (guess, aligned) = self._task, _guess(known, rest)
        if not (known or guess):
            guess, aligned = self._recalled, not self._recalled
        hint = [*task.hint]
        if known or guess:
            # What was backed up over is written again before the rest.
            hint = self._engine.vocabulary.tokenize(
                prompt.forced.decode("utf-8", "ignore") + guess, behind=True
            )
        if known and known.ended:
            hint = hint[:-1]  # what comes after the end is nobody's
        given = self._sampling.beginning
        sampling = replace(self._sampling, beginning=_beginning(given, prompt.forced, self._names()))
        suffix_span = prompt.suffix_span if task.moves else (0, 0)
        aligned = (aligned and task.aligned) or bool(prompt.forced)
        return Ask(
            prompt.tokens,
            sampling,
            Usage(),
            hint,
            aligned,
            suffix_span,
            language=task.language,
            priority=self._urgency,
            owner=task.place.owner,
            session=task.session,
            passing=task.passing,
        )

    def _limit_reading(self, prompt: Prompt) -> None:
        """Say when the prompt should have been read."""
        if self._task.prompt_seconds:
            # What each key has read anew is read: the next request could not go on from there.
            self._job.read_by = time.monotonic() + self._task.prompt_seconds
            self._job.read_but = prompt.behind

    # How it goes on -----------------------------------------------------------------------------------------

    def _first(self, opening: Opening) -> Generator[Ask, list[Token], tuple[Opening, Writing]]:
        """Write the first text, where the editor's next request may go on with it, and remember it."""
        task, job, progress = self._task, self._job, self._progress
        progress.name, progress.place = self._name, task.place if task.remembered else None
        try:
            writing, whole = yield from self._text(opening, progress)
            if not self._sure and not writing.shown and not job.cancel.is_set():
                progress.keep(self._results)
                opening = self._asked(task.look_up(self._results), None)
                writing, whole = yield from self._text(opening, progress)
            short = progress.ask is not None and progress.ask.usage.cut and not whole
            if progress.place and self._sampling.max_tokens and not (job.stopped or progress.ahead or short):
                progress.writing = None
                self._results.remember(task.place, writing.tokens, ended=whole and not writing.gave_up)
        finally:
            if progress.name == self._name:
                progress.keep(self._results)
        return opening, writing

    def _further(self, first: Ask, tokens: Sequence[Token]) -> Generator[Ask, list[Token], None]:
        holds = self._abilities.holds
        for opening in alternatives(first, self._task, tokens, self._engine.vocabulary.piece, holds=holds):
            if self._job.cancel.is_set():
                break
            yield from self._text(opening, AnswerInProgress())

    def _text(
        self, opening: Opening, progress: AnswerInProgress
    ) -> Generator[Ask, list[Token], tuple[Writing, bool]]:
        """Write one text; tell whether it is whole."""
        task, ask = self._task, opening.ask
        writing = progress.writing = task.writing()
        written = opening.rest.tokens
        progress.ahead, self._sure = opening.rest.ahead, opening.rest.sure
        if (opening.adopted or written) and writing.resume(written) and opening.adopted:
            self._report(writing)
        while True:
            progress.ask = ask
            cut, ended = yield from self._compute(ask, writing, progress)
            left, prompt = self._sampling.max_tokens - len(writing.tokens), progress.evaluated
            if cut or ended or not opening.adopted or left <= 0 or len(prompt) >= self._engine.context_size:
                break
            # It was to be as long as an earlier request wanted it.
            sampling = replace(self._sampling, max_tokens=left)
            ask = replace(
                ask, prompt=prompt, sampling=sampling, usage=Usage(), hint=(), priority=self._urgency
            )
        self._finish(writing, whole=ended and not cut)
        return writing, ended and not cut

    def _compute(
        self, ask: Ask, writing: Writing, progress: AnswerInProgress
    ) -> Generator[Ask, list[Token], tuple[bool, bool]]:
        """Take what is written for an ask; tell whether it was cut short, and whether the text has ended."""
        job = self._job
        most = min(ask.sampling.max_tokens, self._engine.context_size - len(ask.prompt))
        # Of what an earlier request has computed some was written by then.
        sent = ask.usage.predicted_tokens
        cut = False
        while ask.prompt and not writing.done and not cut and (tokens := (yield ask)):
            job.read_by = 0.0
            sent += len(tokens)
            progress.ids += [token.id for token in tokens]
            if (fresh := self._beyond_typed(tokens, progress)) is None:
                cut = True  # something else was typed
                break
            if fresh and writing.take(fresh):
                self._report(writing)
            cut = self._is_late(ask, fresh)
        job.read_by = 0.0
        # Behind a stop text what a guess was verified for is nobody's.
        stopped = isinstance(writing, Verbatim) and writing.done
        self._spent += len(writing.tokens) if stopped else ask.usage.predicted_tokens
        # What the engine cut short is not asked for again: it may be cut again.
        cut = cut or (ask.usage.cut and not writing.done)
        return cut, writing.done or sent < most

    def _beyond_typed(self, tokens: Sequence[Token], progress: AnswerInProgress) -> Sequence[Token] | None:
        """Return what goes beyond what was typed already; None where something else was typed."""
        if not progress.ahead:
            return tokens
        if rest := rest_of(tokens, progress.ahead):
            progress.ahead, self._sure = rest.ahead, rest.sure
        return rest.tokens if rest else None

    def _is_late(self, ask: Ask, tokens: Sequence[Token]) -> bool:
        """Tell whether the text's time is up: a line is written to its end, as llama.cpp's server does."""
        late = 0 < self._task.seconds * 1000 < ask.usage.predicted_ms
        return late and any(b"\n" in token.data for token in tokens)

    # What is told -------------------------------------------------------------------------------------------

    def _report(self, writing: Writing) -> None:
        if self._task.stream and self._is_named(writing) and not self._job.cancel.is_set():
            item = item_of(writing, "streaming", len(self._items))
            usage = self._progress.ask.usage if self._progress.ask else Usage()
            timings = Timings(prompt_tokens=usage.prompt_tokens, cached_tokens=usage.cached_tokens)
            self._listener(Reply(self._name, self._engine.name, (item,), timings))

    def _finish(self, writing: Writing, *, whole: bool) -> None:
        """Show the trimmed text, and keep it unless it differs from another one only in spaces."""
        late = self._job.cancel.reason == DEADLINE
        reason = DEADLINE if late else "stop" if whole else "length"
        writing.finish(whole=reason == "stop")
        item = item_of(writing, reason, len(self._items))
        self._undecided = self._undecided or writing.undecided
        bare = _without_spaces(item.text)
        new = item.text and all(bare != _without_spaces(other.text) for other in self._items)
        if self._task.best or (new and self._is_named(writing)):
            self._items.append(item)

    def _is_named(self, writing: Writing) -> bool:
        if self._holds_to_names or not (names := self._task.names()):
            return True
        return writing.shown.startswith(tuple(names))

    def _timings(self, opening: Opening, begun: float, context_ms: float) -> Timings:
        waited = (self._job.started_at - self._job.queued_at) * 1000
        total = waited + (time.perf_counter() - begun) * 1000
        cost = vars(opening.ask.usage) | {"predicted_tokens": self._spent}
        del cost["cut"]
        if opening.adopted:
            cost["prompt_ms"] = 0.0  # that was an earlier request's time
        return Timings(queue_ms=waited, context_ms=context_ms, total_ms=total, **cost)


def _guess(known: Known | None, rest: Rest | None) -> tuple[str, bool]:
    """Return how the answer may begin, and whether that begins where a token began."""
    if known:
        return known.text, known.aligned
    if rest and rest.tokens:
        return b"".join(token.data for token in rest.tokens).decode("utf-8", "ignore"), rest.whole
    return "", True


def _beginning(given: Beginning, typed: bytes, names: Sequence[str]) -> Beginning:
    """Return what a text begins with: what is typed already, and one of the names that can follow."""
    if not (typed or names):
        return given
    ways = tuple(typed + name.encode() for name in names) or ((typed,) if typed else ())
    return Beginning(ways, len(typed))


def _without_spaces(text: str) -> str:
    """Return a text without white space within its lines and at its ends; further lines stay indented."""
    return re.sub(r"(^|\S)[^\S\n]+", r"\1", text.rstrip())
