"""The generation of an editor's text, which its requests continue one after the other."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.completer.alternatives import alternatives, ranked
from jupyter_turbopilot.completer.text import Remainder, Text, TextStart
from jupyter_turbopilot.engine.job import DEADLINE, YIELDED, Generation, Priority
from jupyter_turbopilot.prompt.formats import Prompt
from jupyter_turbopilot.protocol.engine_request import (
    EngineRequest,
    ExactRequest,
    PrefixConstraint,
    Sampling,
    Usage,
)
from jupyter_turbopilot.protocol.reply import Item, Reply, Timings
from jupyter_turbopilot.suggestion.writing import Verbatim

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from jupyter_turbopilot.completer.cache.completion_cache import CachedCompletion
    from jupyter_turbopilot.completer.completion_job import CompletionJob
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.completer.shared import Shared
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.job import Steps
    from jupyter_turbopilot.prompt.layout import Layout
    from jupyter_turbopilot.protocol.engine_request import Token
    from jupyter_turbopilot.suggestion.writing import Writing


MIN_FIRST = 64  # tokens of a notebook's first prompt


class TextGeneration(Generation):
    """An editor's text, and what the job in the seat makes of it: the first text, and alternatives.

    Frames go to `stream` of the job, and the finished texts to its `result`.
    """

    served: CompletionJob

    def __init__(self, job: CompletionJob, shared: Shared) -> None:
        super().__init__(job)
        self._shared = shared
        self._text = Text()  # the first text, which the next job may continue
        # The state of the job that is served.
        self._engine: Engine
        self._layout: Layout
        self._constrains_names = False
        self._sampling = Sampling()
        self._items: list[Item] = []
        self._generated = 0  # tokens of all texts
        self._undecided = False  # whether a text may be trimmed at another position the next time

    def generate(self, engine: Engine) -> Steps:
        self._engine, job = engine, self.served
        self._layout = self._shared.layout_for(engine)
        limits, capabilities = job.plan.limits, engine.capabilities
        self._constrains_names = capabilities.prefix_constraints and (
            job.plan.names_may_leave or not capabilities.remote
        )
        unit = engine.vocabulary.unit if limits.in_units else 1
        self._sampling = replace(limits.sampling, max_tokens=limits.sampling.max_tokens * unit)
        self._items, self._generated, self._undecided = [], 0, False
        try:
            yield from self._serve()
        finally:
            if self.served is job:  # otherwise the next job has begun
                self._text.keep(self._shared.results)

    def _serve(self) -> Steps:
        """Set the result of the job."""
        begun = time.perf_counter()
        job, plan = self.served, self.served.plan
        empty = Reply(job.id, self._engine.name)
        if self._is_unsupported():
            job.result = empty
            return
        cached = job.find_cached()
        if (
            cached
            and (cached.complete or plan.may_be_answered_by(cached))
            and (reply := replay(empty.id, empty.model, plan, cached))
        ):
            job.result, job.is_cached = reply, cached.complete
            return
        start = self._begin(self._text, cached)
        prompt = self._text.prompt or Prompt([])
        context_ms = (time.perf_counter() - begun) * 1000
        if plan.limits.prompt_seconds:
            # The time limit excludes tokens that each keystroke changes; they cannot be evaluated earlier.
            job.prompt_deadline = time.monotonic() + plan.limits.prompt_seconds
            job.prompt_tail = prompt.tail
        start, writing = yield from self._generate_first(start)
        if plan.limits.n > 1:
            yield from self._generate_alternatives(start.engine_request, writing.tokens)
            self._items = ranked(self._items, plan)
        timings = self._timings(start, begun, context_ms)
        full = len(start.engine_request.prompt) + len(writing.tokens) >= self._engine.context_size
        job.result = replace(
            empty,
            items=tuple(self._items),
            timings=timings,
            truncated=prompt.cut or full,
            hidden_reason=writing.hidden_reason,
            uncached=self._undecided,
        )

    def _is_unsupported(self) -> bool:
        """Return whether the engine cannot serve the plan. Cancel unsupported prefetching."""
        plan, capabilities = self.served.plan, self._engine.capabilities
        capabilities.check(plan.limits.sampling)
        if not (plan.priority.awaited or capabilities.prefetch):
            self.served.cancel.set(YIELDED)
            return True
        return plan.is_judged and not capabilities.logprobs

    # The start of a text ----------------------------------------------------------------------------------

    def _begin(self, text: Text, cached: CachedCompletion | None) -> TextStart:
        """Continue the older request's text if it answers this request; otherwise start a new one.

        The cached completion or the remainder of the older text is its draft.
        """
        plan, key = self.served.plan, self.served.plan.cache_key
        remainder = text.remainder(key)
        if (
            remainder
            and text.engine_request
            and text.cache_key
            and text.is_continued_by(plan, key, remainder, self._constraint())
            and not self._waits_upstream(text.engine_request)
        ):
            self._shared.counters["continued"] += 1
            text.cache_key = replace(key, kernel=text.cache_key.kernel)  # of the prompt
            return TextStart(text.engine_request, remainder, taken_over=True)
        self._shared.counters["ended"] += bool(remainder and text.begun)
        text.keep(self._shared.results)
        text.cache_key = key if plan.is_cacheable else None
        text.prompt, text.ids = self._lay_out(), []
        engine_request = self._request_for(text.prompt, cached, remainder)
        self._guess(engine_request, text.prompt)
        return TextStart(engine_request)

    def _waits_upstream(self, engine_request: EngineRequest) -> bool:
        """Return whether a remote server generates an awaited text only if it has no other work."""
        is_awaited = Priority[engine_request.priority.upper()].awaited
        return self._engine.capabilities.remote and self.served.priority.awaited and not is_awaited

    def _constraint(self) -> Sequence[str]:
        """Return the names that the text is constrained to, if the engine supports that."""
        return self.served.plan.names() if self._constrains_names else ()

    def _lay_out(self) -> Prompt:
        """Return the prompt; on a slow machine, the first one of a notebook has only the nearest cells.

        They are last in a prompt, so a longer prompt begins differently, and is evaluated from its beginning.
        """
        plan, layout = self.served.plan, self._layout
        prompt = plan.prompt(layout)
        most = 0 if plan.evaluates_whole else self._shared.first_prompt_tokens(self._engine.speed)
        # The text after the cursor, which each keystroke moves, does not count.
        if most and len(prompt.tokens) - prompt.tail - layout.evaluated_length(prompt.tokens) > most:
            self._shared.evaluate_whole(plan, self.caller)
            most = max(MIN_FIRST, most - prompt.tail) // layout.unit
            prompt = replace(plan.prompt(layout, most), is_truncated=True)
        return prompt

    def _request_for(
        self, prompt: Prompt, cached: CachedCompletion | None, remainder: Remainder | None
    ) -> EngineRequest:
        """Return the request for a new text."""
        plan, exact = self.served.plan, self.served.plan.exact or ExactRequest()
        draft, aligned = _draft(cached, remainder)
        # The line of the index, which `guess` may add, seldom begins at a token boundary.
        aligned = aligned and bool(draft or not plan.asks_index)
        hint = self._hint(prompt, draft) if cached or draft else [*exact.hint]
        if cached and cached.ended:
            hint = hint[:-1]  # the token after the end was never generated
        beginning = _beginning(self._sampling.beginning, prompt.forced, self._constraint())
        return EngineRequest(
            prompt.tokens,
            replace(self._sampling, beginning=beginning),
            Usage(),
            hint,
            (aligned and exact.aligned) or bool(prompt.forced),
            prompt.suffix_span if plan.moves else (0, 0),
            prompt.context_end if plan.moves else 0,
            # For a remote server. The scheduler may have lowered it to bulk.
            priority=self.priority.name.lower(),
            automatic=plan.automatic,
            tenant=plan.cache_key.tenant,
            session=plan.session,
        )

    def _guess(self, engine_request: EngineRequest, prompt: Prompt) -> None:
        """Use the line of the index as the draft of a text without one."""
        if (line := self.served.index_line) and not engine_request.hint:
            engine_request.hint.extend(self._hint(prompt, line.text))

    def _hint(self, prompt: Prompt, draft: str) -> list[int]:
        # Token healing removed `forced` from the prompt, so the text starts with it.
        return self._engine.vocabulary.tokenize(
            prompt.forced.decode("utf-8", "ignore") + draft, continues=True
        )

    # Text generation ------------------------------------------------------------------------------------

    def _generate_first(
        self, start: TextStart
    ) -> Generator[EngineRequest, list[Token], tuple[TextStart, Writing]]:
        """Generate the first text, which the editor's next request may continue, and cache it."""
        plan, text = self.served.plan, self._text
        writing, complete = yield from self._generate_text(start, text)
        if not text.has_probabilities and not writing.shown and not self.served.cancel.is_set():
            text.keep(self._shared.results)
            start = self._begin(text, self.served.find_cached())
            writing, complete = yield from self._generate_text(start, text)
        is_cut = text.engine_request is not None and text.engine_request.usage.cut and not complete
        prompt = text.prompt or Prompt([])
        if (
            text.cache_key
            and plan.limits.sampling.max_tokens
            and not (self.served.stopped or text.typed_ahead or is_cut or prompt.is_truncated)
        ):
            text.writing = None
            ended = complete and not writing.gave_up
            partial = writing.released
            self._shared.results.remember(text.cache_key, writing.tokens, ended=ended, partial=partial)
        if prompt.is_truncated:
            text.cache_key = None  # the whole prompt has another answer
        text.keep(self._shared.results)
        return start, writing

    def _generate_alternatives(
        self, first: EngineRequest, tokens: Sequence[Token]
    ) -> Generator[EngineRequest, list[Token], None]:
        piece, constrains = self._engine.vocabulary.piece, self._engine.capabilities.prefix_constraints
        for start in alternatives(first, self.served.plan, tokens, piece, constrains=constrains):
            if self.served.cancel.is_set():
                break
            yield from self._generate_text(start, Text())

    def _generate_text(
        self, start: TextStart, text: Text
    ) -> Generator[EngineRequest, list[Token], tuple[Writing, bool]]:
        """Generate one text; return it and whether it is complete."""
        engine_request = start.engine_request
        held_since = text.writing.held_since if start.taken_over and text.writing else math.inf
        writing = text.writing = self.served.plan.writing()
        writing.held_since = held_since
        generated = start.remainder.tokens
        text.typed_ahead = start.remainder.typed_ahead
        text.has_probabilities = start.remainder.has_probabilities
        if (start.taken_over or generated) and writing.resume(generated) and start.taken_over:
            self._stream(writing)
        while True:
            text.engine_request = engine_request
            cut, ended = yield from self._collect_tokens(engine_request, writing, text)
            sampling, prompt = self._sampling, text.evaluated
            left = sampling.max_tokens - len(writing.tokens)
            if cut or ended or not start.taken_over or left <= 0 or len(prompt) >= self._engine.context_size:
                break
            # The older request had a lower token limit.
            sampling = replace(sampling, max_tokens=left)
            engine_request = replace(
                engine_request,
                prompt=prompt,
                sampling=sampling,
                usage=Usage(),
                hint=[],
                priority=self.priority.name.lower(),
            )
        if text.prompt and not (text.prompt.is_truncated or self.served.stopped):
            self._layout.note_evaluated(text.prompt.tokens)
        self._finish(writing, complete=ended and not cut)
        return writing, ended and not cut

    def _collect_tokens(
        self, engine_request: EngineRequest, writing: Writing, text: Text
    ) -> Generator[EngineRequest, list[Token], tuple[bool, bool]]:
        """Collect the tokens of a request; return whether it was cut short, and whether it is complete."""
        most = min(engine_request.sampling.max_tokens, self._engine.context_size - len(engine_request.prompt))
        # An older request may have received the first tokens.
        sent = engine_request.usage.predicted_tokens
        cut = False
        while engine_request.prompt and not writing.done and not cut and (tokens := (yield engine_request)):
            self.served.prompt_deadline = 0.0
            if not sent and text.prompt:
                self._guess(engine_request, text.prompt)  # the index has answered meanwhile
            sent += len(tokens)
            text.ids += [token.id for token in tokens]
            if (fresh := text.beyond_typed(tokens)) is None:
                cut = True  # the typed text differs
                break
            if fresh and writing.take(fresh):
                self._stream(writing)
            # After the time limit, complete the current line, as llama.cpp's server does.
            late = 0 < self.served.plan.limits.seconds * 1000 < engine_request.usage.predicted_ms
            cut = late and any(b"\n" in token.data for token in fresh)
        self.served.prompt_deadline = 0.0
        # A draft may have been verified beyond the stop text; those tokens do not count.
        stopped = isinstance(writing, Verbatim) and writing.done
        self._generated += len(writing.tokens) if stopped else engine_request.usage.predicted_tokens
        # Do not repeat a request that the engine has cut short: it may cut it again.
        cut = cut or (engine_request.usage.cut and not writing.done)
        return cut, writing.done or sent < most

    def _stream(self, writing: Writing) -> None:
        """Send a frame with the text so far."""
        job = self.served
        if not (job.plan.stream and self._matches_names(writing)) or job.cancel.is_set():
            return
        item = _item_of(writing, "streaming", len(self._items))
        engine_request = self._text.engine_request
        usage = engine_request.usage if engine_request else Usage()
        timings = Timings(
            queue_ms=(job.started_at - job.queued_at) * 1000,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            prompt_ms=usage.prompt_ms,
            predicted_tokens=usage.predicted_tokens,
            predicted_ms=usage.predicted_ms,
        )
        job.stream(Reply(job.id, self._engine.name, (item,), timings))

    def _finish(self, writing: Writing, *, complete: bool) -> None:
        """Trim a text and add it to the items, unless it differs from another item only in spaces."""
        late = self.served.cancel.reason == DEADLINE
        reason = DEADLINE if late else "stop" if complete else "length"
        writing.finish(whole=reason == "stop")
        item = _item_of(writing, reason, len(self._items))
        self._undecided = self._undecided or writing.undecided
        bare = _without_spaces(item.text)
        # The user asked for the first text; alternatives with unknown names are useless.
        is_useful = not self._items or writing.fits
        new = item.text and is_useful and all(bare != _without_spaces(other.text) for other in self._items)
        if self.served.plan.limits.best or (new and self._matches_names(writing)):
            self._items.append(item)

    def _matches_names(self, writing: Writing) -> bool:
        if self._constrains_names or not (names := self.served.plan.names()):
            return True
        return writing.shown.startswith(tuple(names))

    def _timings(self, start: TextStart, begun: float, context_ms: float) -> Timings:
        waited = (self.served.started_at - self.served.queued_at) * 1000
        total = waited + (time.perf_counter() - begun) * 1000
        cost = vars(start.engine_request.usage) | {"predicted_tokens": self._generated}
        del cost["cut"]
        if start.taken_over:
            cost["prompt_ms"] = 0.0  # the older request has reported it
        return Timings(queue_ms=waited, context_ms=context_ms, total_ms=total, **cost)


def _draft(cached: CachedCompletion | None, remainder: Remainder | None) -> tuple[str, bool]:
    """Return a likely start of the answer, and whether it starts at a token boundary."""
    if cached:
        return cached.text, cached.aligned
    if remainder and remainder.tokens:
        generated = b"".join(token.data for token in remainder.tokens)
        return generated.decode("utf-8", "ignore"), remainder.aligned
    return "", True


def _beginning(given: PrefixConstraint, typed: bytes, names: Sequence[str]) -> PrefixConstraint:
    """Return the prefix constraint: the typed text, followed by one of the names."""
    if not (typed or names):
        return given
    candidates = tuple(typed + name.encode() for name in names) or ((typed,) if typed else ())
    return PrefixConstraint(candidates, len(typed))


def replay(
    name: str, model: str, plan: Plan, cached: CachedCompletion, *, waits: bool = True
) -> Reply | None:
    """Return the reply for a cached completion, which is trimmed and scored as usual.

    None if it has to be continued: it is the beginning of an answer that may be shown. `waits`: see
    `Plan.writing`.
    """
    begun = time.perf_counter()
    writing = plan.writing(waits=waits)
    if cached.typed:
        writing.resume(cached.tokens)
    else:
        writing.take(cached.tokens)
    if not (writing.done or cached.complete):
        return None
    reason = "stop" if cached.ended or writing.done else "length"
    writing.finish(whole=reason == "stop")
    items = (_item_of(writing, reason),) if writing.shown else ()
    timings = Timings(total_ms=(time.perf_counter() - begun) * 1000)
    return Reply(name, model, items, timings, hidden_reason=writing.hidden_reason, uncached=writing.undecided)


def _item_of(writing: Writing, reason: str, index: int = 0) -> Item:
    """Return the visible part of a text as an item of a reply."""
    stopped = writing.stopped_by if isinstance(writing, Verbatim) else ""
    tokens = tuple(writing.tokens)
    confidence = round(writing.confidence, 4)
    more = writing.imports, writing.opens, writing.table
    return Item(writing.shown, confidence, reason, index, stopped, tokens, *more)


def _without_spaces(text: str) -> str:
    """Return a text without trailing spaces and spaces within lines; the indentation is kept."""
    return re.sub(r"(^|\S)[^\S\n]+", r"\1", text.rstrip())
