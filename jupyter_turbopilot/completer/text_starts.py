"""The starts of a request's texts: new, continued, or alternatives, and the order of the finished items."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.completer.text import Remainder
from jupyter_turbopilot.engine.job import Priority
from jupyter_turbopilot.prompt.layout import Layout
from jupyter_turbopilot.protocol.engine_request import EngineRequest, ExactRequest, PrefixConstraint, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.completer.cache.completion_cache import CachedCompletion
    from jupyter_turbopilot.completer.completion_job import CompletionJob
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.completer.shared import Shared
    from jupyter_turbopilot.completer.text import Text
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.prompt.formats import Prompt
    from jupyter_turbopilot.protocol.engine_request import Token
    from jupyter_turbopilot.protocol.reply import Item

MIN_FIRST = 64  # tokens of a notebook's first prompt
SAMPLED_TEMPERATURE = 0.8  # for engines without prefix constraints: greedy texts would all be the same
CERTAIN = 0.9  # no alternative branches at a token with at least this probability


class TextStart(NamedTuple):
    """The start of a text."""

    engine_request: EngineRequest
    remainder: Remainder = Remainder(())  # tokens that are already generated
    taken_over: bool = False  # whether an earlier request submitted the request


class TextStarts:
    """Starts the first text of a request on an engine."""

    def __init__(self, job: CompletionJob, engine: Engine, shared: Shared) -> None:
        self._job = job
        self._plan = plan = job.plan
        self._engine = engine
        self._shared = shared
        if shared.layout is None or not shared.layout.is_for(engine):
            shared.layout = Layout(engine, shared.settings)
        self.layout = shared.layout
        capabilities = engine.capabilities
        self.constrains_names = capabilities.prefix_constraints and (
            plan.names_may_leave or not capabilities.remote
        )
        unit = engine.vocabulary.unit if plan.limits.in_units else 1
        most = plan.limits.sampling.max_tokens * unit
        self.sampling = replace(plan.limits.sampling, max_tokens=most)

    def begin(self, text: Text, cached: CachedCompletion | None) -> TextStart:
        """Continue the older request's text if it answers this request; otherwise start a new one.

        The cached completion or the remainder of the older text is its draft.
        """
        plan, key = self._plan, self._plan.cache_key
        remainder = text.remainder(key)
        if (
            remainder
            and text.engine_request
            and text.cache_key
            and text.is_continued_by(plan, key, remainder, self._names())
            and not self._waits_upstream(text.engine_request)
        ):
            self._shared.counters["continued"] += 1
            text.cache_key = replace(key, kernel=text.cache_key.kernel)  # of the prompt
            return TextStart(text.engine_request, remainder, taken_over=True)
        self._shared.counters["ended"] += bool(remainder and text.begun)
        text.keep(self._shared.results)
        text.cache_key = key if plan.is_cacheable else None
        text.prompt, text.ids = self._lay_out(), []
        return TextStart(self._request_for(text.prompt, cached, remainder))

    def _waits_upstream(self, engine_request: EngineRequest) -> bool:
        """Return whether a remote server generates an awaited text only if it has no other work."""
        is_awaited = Priority[engine_request.priority.upper()].awaited
        return self._engine.capabilities.remote and self._job.priority.awaited and not is_awaited

    def _names(self) -> Sequence[str]:
        """Return the names that the text is constrained to, if the engine supports that."""
        return self._plan.names() if self.constrains_names else ()

    def _lay_out(self) -> Prompt:
        """Return the prompt; on a slow machine, the first one of a notebook has only the nearest cells.

        They are last in a prompt, so a longer prompt begins differently, and is evaluated from its beginning.
        """
        plan, layout = self._plan, self.layout
        prompt = plan.prompt(layout)
        most = 0 if plan.evaluates_whole else self._shared.first_prompt_tokens(self._engine.speed)
        # The text after the cursor, which each keystroke moves, does not count.
        if most and len(prompt.tokens) - prompt.tail - layout.evaluated_length(prompt.tokens) > most:
            self._shared.evaluate_whole(plan, self._job.caller)
            most = max(MIN_FIRST, most - prompt.tail) // layout.unit
            prompt = replace(plan.prompt(layout, most), is_truncated=True)
        return prompt

    def _request_for(
        self, prompt: Prompt, cached: CachedCompletion | None, remainder: Remainder | None
    ) -> EngineRequest:
        """Return the request for a new text."""
        plan, exact = self._plan, self._plan.exact or ExactRequest()
        draft, aligned = _draft(cached, remainder)
        # The line of the index, which `guess` may add, seldom begins at a token boundary.
        aligned = aligned and bool(draft or not plan.asks_index)
        hint = self._hint(prompt, draft) if cached or draft else [*exact.hint]
        if cached and cached.ended:
            hint = hint[:-1]  # the token after the end was never generated
        beginning = _beginning(self.sampling.beginning, prompt.forced, self._names())
        return EngineRequest(
            prompt.tokens,
            replace(self.sampling, beginning=beginning),
            Usage(),
            hint,
            (aligned and exact.aligned) or bool(prompt.forced),
            prompt.suffix_span if plan.moves else (0, 0),
            prompt.context_end if plan.moves else 0,
            # For a remote server. The scheduler may have lowered it to bulk.
            priority=self._job.priority.name.lower(),
            automatic=plan.automatic,
            tenant=plan.cache_key.tenant,
            session=plan.session,
        )

    def guess(self, engine_request: EngineRequest, prompt: Prompt) -> None:
        """Use the line of the index as the draft of a text without one."""
        if (line := self._job.index_line) and not engine_request.hint:
            engine_request.hint.extend(self._hint(prompt, line.text))

    def _hint(self, prompt: Prompt, draft: str) -> list[int]:
        # Token healing removed `forced` from the prompt, so the text starts with it.
        return self._engine.vocabulary.tokenize(
            prompt.forced.decode("utf-8", "ignore") + draft, continues=True
        )


def alternatives(
    first: EngineRequest,
    plan: Plan,
    tokens: Sequence[Token],
    piece: Callable[[int], bytes],
    *,
    constrains: bool = True,
) -> list[TextStart]:
    """Return the starts of additional completions: other seeds, or branches at uncertain tokens.

    `constrains`: the engine supports prefix constraints; without them, additional completions are sampled.
    """
    temperature = plan.limits.sampling.temperature or (0.0 if constrains else SAMPLED_TEMPERATURE)
    if plan.limits.best or temperature:
        seeds = (plan.limits.sampling.seed + number for number in range(1, plan.limits.n))
        return [_start(first, seed=seed, temperature=temperature) for seed in seeds]
    starts = []
    for shared, banned in branches(tokens, plan.limits.n - 1):
        generated = b"".join(piece(token.id) for token in shared)
        beginning = replace(first.sampling.beginning.after(generated), banned=banned)
        left = max(1, first.sampling.max_tokens - len(shared))
        starts.append(_start(first, shared, max_tokens=left, beginning=beginning))
    return starts


def _start(first: EngineRequest, shared: Sequence[Token] = (), **changed: Any) -> TextStart:
    prompt = [*first.prompt, *(token.id for token in shared)]
    sampling = replace(first.sampling, **changed)
    return TextStart(
        replace(first, prompt=prompt, sampling=sampling, usage=Usage(), hint=[]), Remainder(tuple(shared))
    )


def branches(tokens: Sequence[Token], count: int) -> list[tuple[Sequence[Token], int]]:
    """Return the least certain positions of the first line: the tokens before each, and the banned token."""
    line: list[Token] = []
    begun = False
    for token in tokens:
        if b"\n" in token.data and begun:
            break
        begun = begun or bool(token.data.strip())
        line.append(token)
    uncertain = [at for at, token in enumerate(line) if token.probability < CERTAIN and token.data.strip()]
    uncertain.sort(key=lambda at: line[at].probability)
    return [(line[:at], line[at].id) for at in uncertain[:count]]


def ranked(items: list[Item], plan: Plan) -> list[Item]:
    """Sort items, the most likely first; keep `best` of them if that is set."""
    if plan.limits.best:
        if len(items) > plan.limits.best:
            items = sorted(items, key=lambda item: -_mean_logprob(item))[: plan.limits.best]
        return [replace(item, index=index) for index, item in enumerate(items)]
    return items if plan.limits.sampling.temperature else sorted(items, key=lambda item: -item.confidence)


def _mean_logprob(item: Item) -> float:
    logprobs = [math.log(max(1e-12, token.probability)) for token in item.tokens]
    return sum(logprobs) / len(logprobs) if logprobs else 0.0


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
