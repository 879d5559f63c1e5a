"""Alternatives to a finished text, and the order of a request's items. Pure."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.completer.text import Remainder, TextStart
from jupyter_turbopilot.protocol.engine_request import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Token
    from jupyter_turbopilot.protocol.reply import Item

SAMPLED_TEMPERATURE = 0.8  # for engines without prefix constraints: greedy texts would all be the same
CERTAIN = 0.9  # no alternative branches at a token with at least this probability


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
