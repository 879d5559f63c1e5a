"""Further answers to the same request: how each begins, and in which order all are sent. Pure."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.completer.text import Rest
from jupyter_turbopilot.generation import Ask, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.generation import Token
    from jupyter_turbopilot.reply import Item

DRAWN = 0.8  # the temperature of further answers where the likeliest is the same each time
SURE = 0.9  # a token at least as likely as this has no alternative worth reading


class Opening(NamedTuple):
    """What a text begins with."""

    ask: Ask
    rest: Rest = Rest(())  # what of it is written already
    adopted: bool = False  # whether an earlier request has it computed


def alternatives(
    first: Ask, plan: Plan, tokens: Sequence[Token], piece: Callable[[int], bytes], *, holds: bool = True
) -> list[Opening]:
    """Return how further answers begin: with other seeds, or where the first was unsure.

    `holds`: the engine can be held to a beginning; otherwise other answers have to be drawn.
    """
    temperature = plan.sampling.temperature or (0.0 if holds else DRAWN)
    if plan.best or temperature:
        seeds = (plan.sampling.seed + number for number in range(1, plan.n))
        return [_opening(first, seed=seed, temperature=temperature) for seed in seeds]
    openings = []
    for begun, banned in branches(tokens, plan.n - 1):
        written = b"".join(piece(token.id) for token in begun)
        beginning = replace(first.sampling.beginning.after(written), banned=banned)
        left = max(1, first.sampling.max_tokens - len(begun))
        openings.append(_opening(first, begun, max_tokens=left, beginning=beginning))
    return openings


def _opening(first: Ask, begun: Sequence[Token] = (), **changed: Any) -> Opening:
    prompt = [*first.prompt, *(token.id for token in begun)]
    sampling = replace(first.sampling, **changed)
    return Opening(
        replace(first, prompt=prompt, sampling=sampling, usage=Usage(), hint=()), Rest(tuple(begun))
    )


def branches(tokens: Sequence[Token], count: int) -> list[tuple[Sequence[Token], int]]:
    """Return where an answer's first line is least certain: the tokens before, and the one to be avoided."""
    line: list[Token] = []
    begun = False
    for token in tokens:
        if b"\n" in token.data and begun:
            break
        begun = begun or bool(token.data.strip())
        line.append(token)
    unsure = [at for at, token in enumerate(line) if token.probability < SURE and token.data.strip()]
    unsure.sort(key=lambda at: line[at].probability)
    return [(line[:at], line[at].id) for at in unsure[:count]]


def ranked(items: list[Item], plan: Plan) -> list[Item]:
    """Put the best first; of texts that were drawn for the best of them, keep so many."""
    if plan.best:
        if len(items) > plan.best:
            items = sorted(items, key=lambda item: -_likelihood(item))[: plan.best]
        return [replace(item, index=index) for index, item in enumerate(items)]
    return items if plan.sampling.temperature else sorted(items, key=lambda item: -item.confidence)


def _likelihood(item: Item) -> float:
    chances = [math.log(max(1e-12, token.probability)) for token in item.tokens]
    return sum(chances) / len(chances) if chances else 0.0
