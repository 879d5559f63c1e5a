"""One request, from its submission to its last reply."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from jupyter_turbopilot.bounds import remembering_for
from jupyter_turbopilot.completer.alternatives import Opening, alternatives, ranked
from jupyter_turbopilot.completer.editors import Editor, Editors
from jupyter_turbopilot.completer.plan import item_of, replay
from jupyter_turbopilot.completer.text import Rest, Text, rest_of
from jupyter_turbopilot.engine.job import DEADLINE, SUPERSEDED, YIELDED, Job
from jupyter_turbopilot.generation import Ask, Beginning, Usage
from jupyter_turbopilot.prompt.formats import Prompt
from jupyter_turbopilot.prompt.layout import Layout
from jupyter_turbopilot.reply import Item, Reply, Timings
from jupyter_turbopilot.suggestion.writing import Verbatim

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from jupyter_turbopilot.cache.results import Known, Results
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.completer.suggestion_plan import Matches
    from jupyter_turbopilot.completer.waiting import Listener
    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.errors import TurbopilotError
    from jupyter_turbopilot.generation import Sampling, Token
    from jupyter_turbopilot.memory.recall import Recalled
    from jupyter_turbopilot.suggestion.writing import Writing


@dataclass
class Shared:
    """What the requests of one completer share."""

    settings: Turbopilot
    results: Results
    counters: dict[str, int]
    editors: Editors = field(default_factory=Editors)
    last_ms: float | None = None  # how long the last answer took
    layout: Layout | None = None

    def layout_for(self, engine: Engine) -> Layout:
        """Return the layout of prompts for an engine."""
        if self.layout is None or not self.layout.is_for(engine):
            self.layout = Layout(engine, self.settings)
        return self.layout


class Generation(Job):
    """One request: what is planned, the text that is written for it, and what its listener has been told.

        looks up ──▶ waiting ──▶ begun ──▶ ended
            │           │                    ▲
            └───────────┴────────────────────┘ superseded, cancelled, late, answered by the index or the cache

    The look-up thread calls `offer`; the worker's thread calls `begin`, `feed` and `close`. `publish` and
    `end` are called by whichever thread has something to tell. The listener's last reply is `done`.
    """

    awaits_index = False  # whether it waits for the index; only `Editors` decides whether it still does

    def __init__(self, plan: Plan, caller: str, listeners: Sequence[Listener], shared: Shared) -> None:
        """`listeners`: who is told each reply, in this order."""
        super().__init__(priority=plan.priority, deadline=plan.deadline, caller=caller, client=plan.client)
        self.id = uuid4().hex
        self.plan = plan
        self.editor = Editor(caller, plan.client)
        self.text = Text()
        self._listeners = listeners
        self._shared = shared
        self._submitted_at = time.perf_counter()
        self._reply = Reply(id=self.id)  # the answer, as far as it is known
        # What the index says.
        self._line: Recalled | None = None
        self._settled = True  # whether it has said what it says here
        self._shown: Reply | None = None  # the newest of what is shown, where the index began it
        # What the engine writes.
        self._work: Generator[Ask, list[Token], None] | None = None
        self._heard = False  # whether it has shown something
        self._items: list[Item] = []
        self._spent = 0  # tokens
        self._undecided = False  # whether any text may be shown further, or not so far, the next time

    # What the listener is told ------------------------------------------------------------------------------

    def publish(self, reply: Reply) -> None:
        """Send a reply to the listeners."""
        for listener in self._listeners:
            listener(reply)

    def answer(self, reply: Reply) -> None:
        """End with an answer that needs no engine."""
        self.supersede_older()
        self._reply = reply
        self.finish(None)

    def offer(self, matches: Matches | None, model: str) -> bool:
        """Take what the index says, show its line if it is sure; return whether that is the whole answer.

        `matches`: None where the index did not answer in time. `model`: the engine's, empty if there is none.
        """
        self._line = line = matches.line if matches else None
        self._settled = matches is not None and matches.settled
        if not (line and line.sure and model and (self.plan.stream or line.whole)):
            return False
        self._shared.counters["recalled"] += 1
        timings = Timings(total_ms=(time.perf_counter() - self._submitted_at) * 1000)
        self._shown = Reply(self.id, model, (_item_of(line),), timings, passing=True)
        if line.whole:
            self.answer(self._shown)
        else:
            self.publish(self._shown)
        return line.whole

    def end(self, error: TurbopilotError | None) -> None:
        """Send the last reply: what there is, or why there is nothing."""
        reply = self._last(error)
        recalled = any(item.recalled for item in reply.items)
        reply = replace(reply, passing=self._passing or recalled or self._reply.passing)
        shared = self._shared
        shared.editors.leave(self)
        if reply.items:
            shared.last_ms = reply.timings.total_ms
        elif self.plan.gated and not self.cancel.is_set() and not reply.error:
            shared.counters["hidden"] += 1
        self.publish(reply)

    def supersede_older(self) -> None:
        """End the request whose place this one was to take."""
        if self.older:
            self.older.cancel.set(SUPERSEDED)
            self.older = None

    @property
    def _passing(self) -> bool:
        # Where the index was too slow, there may be a better answer the next time.
        return bool(self.plan.passing or self._shown or not self._settled)

    def _keeps(self, reply: Reply) -> bool:
        """Return whether nothing is missing of what the index has shown, and the engine has added since."""
        return not self._shown or bool(
            reply.items and reply.items[0].text.startswith(self._shown.items[0].text)
        )

    def _last(self, error: TurbopilotError | None) -> Reply:
        reply, reason = replace(self._reply, done=True, error=error), self.cancel.reason
        if self._shown and not self._keeps(reply) and (not reason or reason == DEADLINE):
            # What was shown stays, whatever became of the engine.
            finish = "error" if error else reason or reply.finish_reason
            reply = replace(self._shown, done=True, finish_reason=finish)
        elif not (self._shown or self._heard or reason or error):
            reply = self._surer(reply)
        if reason and (reason != DEADLINE or not reply.items):
            return replace(reply, items=(), finish_reason=reason)
        return reply

    def _surer(self, reply: Reply) -> Reply:
        """Return what the engine has written, or the line of the index where that is surer."""
        line = self._line
        if not (line and line.sure):
            return reply
        if reply.items and reply.items[0].confidence >= line.confidence:
            return reply
        self._shared.counters["recalled"] += 1
        return replace(reply, items=(_item_of(line),))

    # What the worker calls ----------------------------------------------------------------------------------

    def begin(self, engine: Engine, older: Job | None) -> Ask | None:
        """Return what the engine is to compute first."""
        if isinstance(older, Generation):
            self.text, older.text = older.text, Text()
        self._work = work = self._write(engine)
        return self._advance(partial(next, work))

    def feed(self, tokens: list[Token]) -> Ask | None:
        """Take what the engine has computed; return what it is to compute next."""
        return self._advance(partial(self._work.send, tokens)) if self._work else None

    def close(self) -> None:
        """Cache what was written as a draft, unless another request continues it."""
        if self._work:
            self._work.close()
        self.text.keep(self._shared.results)

    def _advance(self, step: Callable[[], Ask]) -> Ask | None:
        try:
            with remembering_for(self.plan.place.owner):
                return step()
        except StopIteration:
            return None

    def _write(self, engine: Engine) -> Generator[Ask, list[Token], None]:
        """Yield what is to be computed, be sent the tokens, and set the whole answer."""
        begun = time.perf_counter()
        plan = self.plan
        if self._is_beyond(engine):
            self._reply = Reply(self.id, engine.name)
            return
        known = plan.find_cached(self._shared.results)
        if known and plan.is_answered_by(known):
            self._reply = replay(self.id, engine.name, plan, known)
            return
        rest = self.text.rest(plan.place)
        opening = self._continued(engine, rest) or self._asked(engine, known, rest)
        prompt = self.text.prompt or Prompt([])
        context_ms = (time.perf_counter() - begun) * 1000
        if plan.prompt_seconds:
            # What each key has read anew is read: the next request could not go on from there.
            self.read_by = time.monotonic() + plan.prompt_seconds
            self.read_but = prompt.behind
        opening, writing = yield from self._first(engine, opening)
        yield from self._further(engine, opening.ask, writing.tokens)
        timings = self._timings(opening, begun, context_ms)
        full = len(opening.ask.prompt) + len(writing.tokens) >= engine.context_size
        items = tuple(ranked(self._items, plan))
        cut = prompt.cut or full
        self._reply = Reply(self.id, engine.name, items, timings, truncated=cut, passing=self._undecided)

    def _is_beyond(self, engine: Engine) -> bool:
        """Return whether the engine cannot do what is asked for; what nobody waits for is given up."""
        plan, abilities = self.plan, engine.abilities
        abilities.check(plan.sampling)
        if not (plan.priority.awaited or abilities.ahead):
            self.cancel.set(YIELDED)
            return True
        return plan.judged and not abilities.chances

    # Where the text begins ----------------------------------------------------------------------------------

    def _continued(self, engine: Engine, rest: Rest | None) -> Opening | None:
        """Continue the text that is being written for the editor, if that answers this request."""
        text = self.text
        if rest and text.ask and text.is_continued_by(self.plan, rest, self._names(engine)):
            self._shared.counters["taken_over"] += 1
            return Opening(text.ask, rest, adopted=True)
        return None

    def _names(self, engine: Engine) -> Sequence[str]:
        """Return the names of which one has to follow, where the engine can be held to them."""
        return self.plan.names() if self._holds_to_names(engine) else ()

    def _holds_to_names(self, engine: Engine) -> bool:
        # What the kernel knows may not leave, not even as what a text may begin with.
        return engine.abilities.holds and not (engine.abilities.elsewhere and self.plan.names_stay)

    def _asked(self, engine: Engine, known: Known | None, rest: Rest | None) -> Opening:
        """Begin a text of its own."""
        text = self.text
        self._shared.counters["ended"] += bool(rest and text.begun)
        text.keep(self._shared.results)
        text.prompt, text.ids = self.plan.prompt(engine, self._shared.layout_for(engine)), []
        return Opening(self._ask(engine, text.prompt, known, rest))

    def _ask(self, engine: Engine, prompt: Prompt, known: Known | None, rest: Rest | None) -> Ask:
        """Ask for what follows; what is known of it, or was written for another key, is a draft."""
        plan, (draft, aligned) = self.plan, _draft(known, rest)
        if not (known or draft) and self._line:
            draft, aligned = self._line.text, False
        hint = [*plan.hint]
        if known or draft:
            # What was backed up over is written again before the rest.
            hint = engine.vocabulary.tokenize(prompt.forced.decode("utf-8", "ignore") + draft, behind=True)
        if known and known.ended:
            hint = hint[:-1]  # what comes after the end is nobody's
        sampling = self._sampling(engine)
        beginning = _beginning(sampling.beginning, prompt.forced, self._names(engine))
        return Ask(
            prompt.tokens,
            replace(sampling, beginning=beginning),
            Usage(),
            hint,
            (aligned and plan.aligned) or bool(prompt.forced),
            prompt.suffix_span if plan.moves else (0, 0),
            language=plan.language,
            priority=self._urgency,
            owner=plan.place.owner,
            session=plan.session,
            passing=plan.passing,
        )

    def _sampling(self, engine: Engine) -> Sampling:
        sampling = self.plan.sampling
        unit = engine.vocabulary.unit if self.plan.in_units else 1
        return replace(sampling, max_tokens=sampling.max_tokens * unit)

    @property
    def _urgency(self) -> str:
        """Who waits, in the words of another server: the job may have become bulk."""
        return self.priority.name.lower()

    # How the text continues ---------------------------------------------------------------------------------

    def _first(
        self, engine: Engine, opening: Opening
    ) -> Generator[Ask, list[Token], tuple[Opening, Writing]]:
        """Write the first text, which the editor's next request may continue, and cache it."""
        plan, text = self.plan, self.text
        text.place = plan.place if plan.remembered else None
        try:
            writing, whole = yield from self._text(engine, opening, text)
            if not text.sure and not writing.shown and not self.cancel.is_set():
                text.keep(self._shared.results)
                opening = self._asked(engine, plan.find_cached(self._shared.results), None)
                writing, whole = yield from self._text(engine, opening, text)
            short = text.ask is not None and text.ask.usage.cut and not whole
            if text.place and plan.sampling.max_tokens and not (self.stopped or text.ahead or short):
                text.writing = None
                self._shared.results.remember(plan.place, writing.tokens, ended=whole and not writing.gave_up)
        finally:
            self.text.keep(self._shared.results)  # another one, if a newer request continues the text
        return opening, writing

    def _further(
        self, engine: Engine, first: Ask, tokens: Sequence[Token]
    ) -> Generator[Ask, list[Token], None]:
        piece, holds = engine.vocabulary.piece, engine.abilities.holds
        for opening in alternatives(first, self.plan, tokens, piece, holds=holds):
            if self.cancel.is_set():
                break
            yield from self._text(engine, opening, Text())

    def _text(
        self, engine: Engine, opening: Opening, text: Text
    ) -> Generator[Ask, list[Token], tuple[Writing, bool]]:
        """Write one text; return whether it is whole."""
        ask = opening.ask
        writing = text.writing = self.plan.writing()
        written = opening.rest.tokens
        text.ahead, text.sure = opening.rest.ahead, opening.rest.sure
        if (opening.adopted or written) and writing.resume(written) and opening.adopted:
            self._report(engine, writing)
        while True:
            text.ask = ask
            cut, ended = yield from self._compute(engine, ask, writing, text)
            sampling, prompt = self._sampling(engine), text.evaluated
            left = sampling.max_tokens - len(writing.tokens)
            if cut or ended or not opening.adopted or left <= 0 or len(prompt) >= engine.context_size:
                break
            # It was to be as long as an earlier request wanted it.
            sampling = replace(sampling, max_tokens=left)
            ask = replace(
                ask, prompt=prompt, sampling=sampling, usage=Usage(), hint=(), priority=self._urgency
            )
        self._finish(engine, writing, whole=ended and not cut)
        return writing, ended and not cut

    def _compute(
        self, engine: Engine, ask: Ask, writing: Writing, text: Text
    ) -> Generator[Ask, list[Token], tuple[bool, bool]]:
        """Take what is written for an ask; return whether it was cut short, and whether it is whole."""
        most = min(ask.sampling.max_tokens, engine.context_size - len(ask.prompt))
        # Of what an earlier request has computed some was written by then.
        sent = ask.usage.predicted_tokens
        cut = False
        while ask.prompt and not writing.done and not cut and (tokens := (yield ask)):
            self.read_by = 0.0
            sent += len(tokens)
            text.ids += [token.id for token in tokens]
            if (fresh := _beyond_typed(tokens, text)) is None:
                cut = True  # something else was typed
                break
            if fresh and writing.take(fresh):
                self._report(engine, writing)
            # A line is written to its end, as llama.cpp's server does.
            late = 0 < self.plan.seconds * 1000 < ask.usage.predicted_ms
            cut = late and any(b"\n" in token.data for token in fresh)
        self.read_by = 0.0
        # Behind a stop text what a draft was verified for is nobody's.
        stopped = isinstance(writing, Verbatim) and writing.done
        self._spent += len(writing.tokens) if stopped else ask.usage.predicted_tokens
        # What the engine cut short is not asked for again: it may be cut again.
        cut = cut or (ask.usage.cut and not writing.done)
        return cut, writing.done or sent < most

    def _report(self, engine: Engine, writing: Writing) -> None:
        """Send what is shown of a text so far, if that does not take back what the index has shown."""
        if not (self.plan.stream and self._is_named(engine, writing)) or self.cancel.is_set():
            return
        item = item_of(writing, "streaming", len(self._items))
        usage = self.text.ask.usage if self.text.ask else Usage()
        timings = Timings(prompt_tokens=usage.prompt_tokens, cached_tokens=usage.cached_tokens)
        reply = Reply(self.id, engine.name, (item,), timings, passing=self._passing)
        if self._keeps(reply):
            self._shown = self._shown and reply
            self._heard = True
            self.publish(reply)

    def _finish(self, engine: Engine, writing: Writing, *, whole: bool) -> None:
        """Trim a text, and keep it unless it differs from another one only in spaces."""
        late = self.cancel.reason == DEADLINE
        reason = DEADLINE if late else "stop" if whole else "length"
        writing.finish(whole=reason == "stop")
        item = item_of(writing, reason, len(self._items))
        self._undecided = self._undecided or writing.undecided
        bare = _without_spaces(item.text)
        new = item.text and all(bare != _without_spaces(other.text) for other in self._items)
        if self.plan.best or (new and self._is_named(engine, writing)):
            self._items.append(item)

    def _is_named(self, engine: Engine, writing: Writing) -> bool:
        if self._holds_to_names(engine) or not (names := self.plan.names()):
            return True
        return writing.shown.startswith(tuple(names))

    def _timings(self, opening: Opening, begun: float, context_ms: float) -> Timings:
        waited = (self.started_at - self.queued_at) * 1000
        total = waited + (time.perf_counter() - begun) * 1000
        cost = vars(opening.ask.usage) | {"predicted_tokens": self._spent}
        del cost["cut"]
        if opening.adopted:
            cost["prompt_ms"] = 0.0  # that was an earlier request's time
        return Timings(queue_ms=waited, context_ms=context_ms, total_ms=total, **cost)


def _item_of(line: Recalled) -> Item:
    reason = "stop" if line.whole else "length"
    confidence = round(line.confidence, 4)
    return Item(line.text, confidence, reason, imports=line.imports, recalled=True)


def _beyond_typed(tokens: Sequence[Token], text: Text) -> Sequence[Token] | None:
    """Return what goes beyond what was typed already; None where something else was typed."""
    if not text.ahead:
        return tokens
    if rest := rest_of(tokens, text.ahead):
        text.ahead, text.sure = rest.ahead, rest.sure
    return rest.tokens if rest else None


def _draft(known: Known | None, rest: Rest | None) -> tuple[str, bool]:
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
