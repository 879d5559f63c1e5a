"""One request, from its submission to its last reply."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from jupyter_turbopilot.completer.alternatives import TextStart, alternatives, ranked
from jupyter_turbopilot.completer.editors import Editor, Editors
from jupyter_turbopilot.completer.plan import item_of, replay
from jupyter_turbopilot.completer.text import Remainder, Text, remainder_after
from jupyter_turbopilot.engine.job import DEADLINE, SUPERSEDED, YIELDED, Job
from jupyter_turbopilot.prompt.formats import Prompt
from jupyter_turbopilot.prompt.layout import Layout
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Usage
from jupyter_turbopilot.protocol.reply import Item, Reply, Timings
from jupyter_turbopilot.suggestion.writing import Verbatim
from jupyter_turbopilot.util.bounds import tenant_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from jupyter_turbopilot.completer.cache.completion_cache import CachedCompletion, CompletionCache
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.completer.suggestion_plan import Matches
    from jupyter_turbopilot.completer.waiting import Listener
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.index.lookup import LineMatch
    from jupyter_turbopilot.protocol.engine_request import Sampling, Token
    from jupyter_turbopilot.protocol.errors import TurbopilotError
    from jupyter_turbopilot.settings.config import Turbopilot
    from jupyter_turbopilot.suggestion.writing import Writing


@dataclass
class Shared:
    """State that all requests of a completer share."""

    settings: Turbopilot
    results: CompletionCache
    counters: dict[str, int]
    editors: Editors = field(default_factory=Editors)
    last_ms: float | None = None  # duration of the last answered request
    layout: Layout | None = None

    def layout_for(self, engine: Engine) -> Layout:
        """Return the prompt layout for an engine."""
        if self.layout is None or not self.layout.is_for(engine):
            self.layout = Layout(engine, self.settings)
        return self.layout


class CompletionJob(Job):
    """One request: its plan, its text, and the replies that it has sent.

        look-up ────────▶ waiting ──▶ begun ──▶ ended
              │              │                    ▲
              └──────────────┴────────────────────┘ superseded, cancelled, late, answered from index or cache

    The look-up thread calls `offer`. The worker's thread calls `begin`, `feed` and `close`. Any thread may
    call `publish` and `end`. The last reply has `done` set.
    """

    awaits_look_up = False  # whether the look-up has not ended; protected by the lock of `Editors`

    def __init__(self, plan: Plan, caller: str, listeners: Sequence[Listener], shared: Shared) -> None:
        """`listeners` receive each reply, in this order."""
        super().__init__(priority=plan.priority, deadline=plan.deadline, caller=caller, client=plan.client)
        self.id = uuid4().hex
        self.plan = plan
        self.editor = Editor(caller, plan.client)
        self.text = Text()
        self._listeners = listeners
        self._shared = shared
        self._submitted_at = time.perf_counter()
        self._reply = Reply(id=self.id)  # the last reply, as far as it is complete
        self._index_line: LineMatch | None = None
        self._settled = True  # whether the index look-up is complete
        self._shown: Reply | None = None  # the latest frame, if the first one came from the index
        self._steps: Generator[EngineRequest, list[Token], None] | None = None
        self._streamed = False  # whether a frame with generated text was sent
        self._items: list[Item] = []
        self._generated = 0  # tokens of all texts
        self._undecided = False  # whether a text may be trimmed at another position the next time

    # Replies ------------------------------------------------------------------------------------------------

    def publish(self, reply: Reply) -> None:
        """Send a reply to the listeners."""
        for listener in self._listeners:
            listener(reply)

    def answer(self, reply: Reply) -> None:
        """End with a reply that needs no engine."""
        self.supersede_older()
        self._reply = reply
        self.finish(None)

    def offer(self, matches: Matches | None, model: str) -> bool:
        """Store the index matches; send a confident line. Return whether that line is the whole answer.

        `matches` is None if the index did not answer in time. `model` is empty if no engine is ready.
        """
        self._index_line = line = matches.line if matches else None
        self._settled = matches is not None and matches.settled
        if not (line and line.sure and model and (self.plan.stream or line.whole)):
            return False
        self._shared.counters["index_matches"] += 1
        timings = Timings(total_ms=(time.perf_counter() - self._submitted_at) * 1000)
        self._shown = Reply(self.id, model, (_item_of(line),), timings, uncached=True)
        if line.whole:
            self.answer(self._shown)
        else:
            self.publish(self._shown)
        return line.whole

    def end(self, error: TurbopilotError | None) -> None:
        """Send the last reply: the items, or the reason why there are none."""
        reply = self._last_reply(error)
        from_index = any(item.from_index for item in reply.items)
        reply = replace(reply, uncached=self._uncached or from_index or self._reply.uncached)
        shared = self._shared
        shared.editors.leave(self)
        if reply.items:
            shared.last_ms = reply.timings.total_ms
        elif self.plan.gated and not self.cancel.is_set() and not reply.error:
            shared.counters["hidden"] += 1
        self.publish(reply)

    def supersede_older(self) -> None:
        """Supersede the request that this one was to take over from."""
        if self.older:
            self.older.cancel.set(SUPERSEDED)
            self.older = None

    @property
    def _uncached(self) -> bool:
        # If the index was too slow, the next request may get a better answer.
        return bool(self.plan.uncached or self._shown or not self._settled)

    def _extends_shown(self, reply: Reply) -> bool:
        """Return whether a reply extends the frames that were sent after an index match."""
        return not self._shown or bool(
            reply.items and reply.items[0].text.startswith(self._shown.items[0].text)
        )

    def _last_reply(self, error: TurbopilotError | None) -> Reply:
        reply, reason = replace(self._reply, done=True, error=error), self.cancel.reason
        if self._shown and not self._extends_shown(reply) and (not reason or reason == DEADLINE):
            # Keep the shown text, even if the engine failed.
            finish = "error" if error else reason or reply.finish_reason
            reply = replace(self._shown, done=True, finish_reason=finish)
        elif not (self._shown or self._streamed or reason or error):
            reply = self._more_confident(reply)
        if reason and (reason != DEADLINE or not reply.items):
            return replace(reply, items=(), finish_reason=reason)
        return reply

    def _more_confident(self, reply: Reply) -> Reply:
        """Return the generated reply, or the line of the index if its confidence is higher."""
        line = self._index_line
        if not (line and line.sure):
            return reply
        if reply.items and reply.items[0].confidence >= line.confidence:
            return reply
        self._shared.counters["index_matches"] += 1
        return replace(reply, items=(_item_of(line),))

    # Job interface ------------------------------------------------------------------------------------------

    def begin(self, engine: Engine, older: Job | None) -> EngineRequest | None:
        """Return the first request to the engine."""
        if isinstance(older, CompletionJob):
            self.text, older.text = older.text, Text()
        self._steps = steps = self._generate(engine)
        return self._resume_steps(partial(next, steps))

    def feed(self, tokens: list[Token]) -> EngineRequest | None:
        """Take generated tokens; return the next one."""
        return self._resume_steps(partial(self._steps.send, tokens)) if self._steps else None

    def close(self) -> None:
        """Cache the text as a draft, unless another request continues it."""
        if self._steps:
            self._steps.close()
        self.text.keep(self._shared.results)

    def _resume_steps(self, step: Callable[[], EngineRequest]) -> EngineRequest | None:
        try:
            with tenant_cache(self.plan.cache_key.tenant):
                return step()
        except StopIteration:
            return None

    def _generate(self, engine: Engine) -> Generator[EngineRequest, list[Token], None]:
        """Yield each request, receive its tokens, and set the last reply."""
        begun = time.perf_counter()
        plan = self.plan
        if self._is_unsupported(engine):
            self._reply = Reply(self.id, engine.name)
            return
        cached = plan.find_cached(self._shared.results)
        if cached and plan.is_answered_by(cached):
            self._reply = replay(self.id, engine.name, plan, cached)
            return
        remainder = self.text.remainder(plan.cache_key)
        start = self._take_over_text(engine, remainder) or self._start_text(engine, cached, remainder)
        prompt = self.text.prompt or Prompt([])
        context_ms = (time.perf_counter() - begun) * 1000
        if plan.prompt_seconds:
            # The time limit excludes tokens that each keystroke changes; they cannot be evaluated earlier.
            self.prompt_deadline = time.monotonic() + plan.prompt_seconds
            self.prompt_tail = prompt.tail
        start, writing = yield from self._generate_first(engine, start)
        yield from self._generate_alternatives(engine, start.engine_request, writing.tokens)
        timings = self._timings(start, begun, context_ms)
        full = len(start.engine_request.prompt) + len(writing.tokens) >= engine.context_size
        items = tuple(ranked(self._items, plan))
        cut = prompt.cut or full
        self._reply = Reply(self.id, engine.name, items, timings, truncated=cut, uncached=self._undecided)

    def _is_unsupported(self, engine: Engine) -> bool:
        """Return whether the engine cannot serve the plan. Cancel unsupported prefetching."""
        plan, capabilities = self.plan, engine.capabilities
        capabilities.check(plan.sampling)
        if not (plan.priority.awaited or capabilities.prefetch):
            self.cancel.set(YIELDED)
            return True
        return plan.judged and not capabilities.logprobs

    # Start of a text ----------------------------------------------------------------------------------------

    def _take_over_text(self, engine: Engine, remainder: Remainder | None) -> TextStart | None:
        """Continue the older request's text, if it answers this request."""
        text = self.text
        if (
            remainder
            and text.engine_request
            and text.is_continued_by(self.plan, remainder, self._names(engine))
        ):
            self._shared.counters["continued"] += 1
            return TextStart(text.engine_request, remainder, taken_over=True)
        return None

    def _names(self, engine: Engine) -> Sequence[str]:
        """Return the names that the text is constrained to, if the engine supports that."""
        return self.plan.names() if self._constrains_names(engine) else ()

    def _constrains_names(self, engine: Engine) -> bool:
        # Kernel context may not be sent to a remote server, and a prefix constraint would contain it.
        return engine.capabilities.prefix_constraints and not (
            engine.capabilities.remote and self.plan.names_stay
        )

    def _start_text(
        self, engine: Engine, cached: CachedCompletion | None, remainder: Remainder | None
    ) -> TextStart:
        """Start a new text."""
        text = self.text
        self._shared.counters["ended"] += bool(remainder and text.begun)
        text.keep(self._shared.results)
        text.prompt, text.ids = self.plan.prompt(engine, self._shared.layout_for(engine)), []
        return TextStart(self._request_for(engine, text.prompt, cached, remainder))

    def _request_for(
        self, engine: Engine, prompt: Prompt, cached: CachedCompletion | None, remainder: Remainder | None
    ) -> EngineRequest:
        """Return the request for a new text, drafted by a cached completion or an older text's remainder."""
        plan, (draft, aligned) = self.plan, _draft(cached, remainder)
        if not (cached or draft) and self._index_line:
            draft, aligned = self._index_line.text, False
        hint = [*plan.hint]
        if cached or draft:
            # Token healing removed `forced` from the prompt, so the text starts with it.
            hint = engine.vocabulary.tokenize(prompt.forced.decode("utf-8", "ignore") + draft, continues=True)
        if cached and cached.ended:
            hint = hint[:-1]  # the token after the end was never generated
        sampling = self._sampling(engine)
        beginning = _beginning(sampling.beginning, prompt.forced, self._names(engine))
        return EngineRequest(
            prompt.tokens,
            replace(sampling, beginning=beginning),
            Usage(),
            hint,
            (aligned and plan.aligned) or bool(prompt.forced),
            prompt.suffix_span if plan.moves else (0, 0),
            language=plan.language,
            priority=self._urgency,
            automatic=plan.automatic,
            tenant=plan.cache_key.tenant,
            session=plan.session,
            uncached=plan.uncached,
        )

    def _sampling(self, engine: Engine) -> Sampling:
        sampling = self.plan.sampling
        unit = engine.vocabulary.unit if self.plan.in_units else 1
        return replace(sampling, max_tokens=sampling.max_tokens * unit)

    @property
    def _urgency(self) -> str:
        """The priority for a remote server. The scheduler may have lowered it to bulk."""
        return self.priority.name.lower()

    # Text generation ------------------------------------------------------------------------------------

    def _generate_first(
        self, engine: Engine, start: TextStart
    ) -> Generator[EngineRequest, list[Token], tuple[TextStart, Writing]]:
        """Generate the first text, which the editor's next request may continue, and cache it."""
        plan, text = self.plan, self.text
        text.cache_key = plan.cache_key if plan.is_cacheable else None
        try:
            writing, complete = yield from self._generate_text(engine, start, text)
            if not text.has_probabilities and not writing.shown and not self.cancel.is_set():
                text.keep(self._shared.results)
                start = self._start_text(engine, plan.find_cached(self._shared.results), None)
                writing, complete = yield from self._generate_text(engine, start, text)
            short = text.engine_request is not None and text.engine_request.usage.cut and not complete
            if (
                text.cache_key
                and plan.sampling.max_tokens
                and not (self.stopped or text.typed_ahead or short)
            ):
                text.writing = None
                ended = complete and not writing.gave_up
                self._shared.results.remember(plan.cache_key, writing.tokens, ended=ended)
        finally:
            # If a newer request took over the text, `self.text` is empty now and nothing is cached.
            self.text.keep(self._shared.results)
        return start, writing

    def _generate_alternatives(
        self, engine: Engine, first: EngineRequest, tokens: Sequence[Token]
    ) -> Generator[EngineRequest, list[Token], None]:
        piece, constrains = engine.vocabulary.piece, engine.capabilities.prefix_constraints
        for start in alternatives(first, self.plan, tokens, piece, constrains=constrains):
            if self.cancel.is_set():
                break
            yield from self._generate_text(engine, start, Text())

    def _generate_text(
        self, engine: Engine, start: TextStart, text: Text
    ) -> Generator[EngineRequest, list[Token], tuple[Writing, bool]]:
        """Generate one text; return it and whether it is complete."""
        engine_request = start.engine_request
        writing = text.writing = self.plan.writing()
        generated = start.remainder.tokens
        text.typed_ahead = start.remainder.typed_ahead
        text.has_probabilities = start.remainder.has_probabilities
        if (start.taken_over or generated) and writing.resume(generated) and start.taken_over:
            self._stream(engine, writing)
        while True:
            text.engine_request = engine_request
            cut, ended = yield from self._collect_tokens(engine, engine_request, writing, text)
            sampling, prompt = self._sampling(engine), text.evaluated
            left = sampling.max_tokens - len(writing.tokens)
            if cut or ended or not start.taken_over or left <= 0 or len(prompt) >= engine.context_size:
                break
            # The older request had a lower token limit.
            sampling = replace(sampling, max_tokens=left)
            engine_request = replace(
                engine_request,
                prompt=prompt,
                sampling=sampling,
                usage=Usage(),
                hint=(),
                priority=self._urgency,
            )
        self._finish(engine, writing, complete=ended and not cut)
        return writing, ended and not cut

    def _collect_tokens(
        self, engine: Engine, engine_request: EngineRequest, writing: Writing, text: Text
    ) -> Generator[EngineRequest, list[Token], tuple[bool, bool]]:
        """Collect the tokens of a request; return whether it was cut short, and whether it is complete."""
        most = min(engine_request.sampling.max_tokens, engine.context_size - len(engine_request.prompt))
        # An older request may have received the first tokens.
        sent = engine_request.usage.predicted_tokens
        cut = False
        while engine_request.prompt and not writing.done and not cut and (tokens := (yield engine_request)):
            self.prompt_deadline = 0.0
            sent += len(tokens)
            text.ids += [token.id for token in tokens]
            if (fresh := _beyond_typed(tokens, text)) is None:
                cut = True  # the typed text differs
                break
            if fresh and writing.take(fresh):
                self._stream(engine, writing)
            # After the time limit, complete the current line, as llama.cpp's server does.
            late = 0 < self.plan.seconds * 1000 < engine_request.usage.predicted_ms
            cut = late and any(b"\n" in token.data for token in fresh)
        self.prompt_deadline = 0.0
        # A draft may have been verified beyond the stop text; those tokens do not count.
        stopped = isinstance(writing, Verbatim) and writing.done
        self._generated += len(writing.tokens) if stopped else engine_request.usage.predicted_tokens
        # Do not repeat a request that the engine has cut short: it may cut it again.
        cut = cut or (engine_request.usage.cut and not writing.done)
        return cut, writing.done or sent < most

    def _stream(self, engine: Engine, writing: Writing) -> None:
        """Send a frame with the text so far, unless it contradicts a shown index match."""
        if not (self.plan.stream and self._matches_names(engine, writing)) or self.cancel.is_set():
            return
        item = item_of(writing, "streaming", len(self._items))
        usage = self.text.engine_request.usage if self.text.engine_request else Usage()
        timings = Timings(
            queue_ms=(self.started_at - self.queued_at) * 1000,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            prompt_ms=usage.prompt_ms,
            predicted_tokens=usage.predicted_tokens,
            predicted_ms=usage.predicted_ms,
        )
        reply = Reply(self.id, engine.name, (item,), timings, uncached=self._uncached)
        if self._extends_shown(reply):
            self._shown = self._shown and reply
            self._streamed = True
            self.publish(reply)

    def _finish(self, engine: Engine, writing: Writing, *, complete: bool) -> None:
        """Trim a text and add it to the items, unless it differs from another item only in spaces."""
        late = self.cancel.reason == DEADLINE
        reason = DEADLINE if late else "stop" if complete else "length"
        writing.finish(whole=reason == "stop")
        item = item_of(writing, reason, len(self._items))
        self._undecided = self._undecided or writing.undecided
        bare = _without_spaces(item.text)
        new = item.text and all(bare != _without_spaces(other.text) for other in self._items)
        if self.plan.best or (new and self._matches_names(engine, writing)):
            self._items.append(item)

    def _matches_names(self, engine: Engine, writing: Writing) -> bool:
        if self._constrains_names(engine) or not (names := self.plan.names()):
            return True
        return writing.shown.startswith(tuple(names))

    def _timings(self, start: TextStart, begun: float, context_ms: float) -> Timings:
        waited = (self.started_at - self.queued_at) * 1000
        total = waited + (time.perf_counter() - begun) * 1000
        cost = vars(start.engine_request.usage) | {"predicted_tokens": self._generated}
        del cost["cut"]
        if start.taken_over:
            cost["prompt_ms"] = 0.0  # the older request has reported it
        return Timings(queue_ms=waited, context_ms=context_ms, total_ms=total, **cost)


def _item_of(line: LineMatch) -> Item:
    reason = "stop" if line.whole else "length"
    confidence = round(line.confidence, 4)
    return Item(line.text, confidence, reason, imports=line.imports, from_index=True)


def _beyond_typed(tokens: Sequence[Token], text: Text) -> Sequence[Token] | None:
    """Return the tokens after the text that the user typed ahead; None if the two differ."""
    if not text.typed_ahead:
        return tokens
    if remainder := remainder_after(tokens, text.typed_ahead):
        text.typed_ahead, text.has_probabilities = remainder.typed_ahead, remainder.has_probabilities
    return remainder.tokens if remainder else None


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


def _without_spaces(text: str) -> str:
    """Return a text without trailing spaces and spaces within lines; the indentation is kept."""
    return re.sub(r"(^|\S)[^\S\n]+", r"\1", text.rstrip())
