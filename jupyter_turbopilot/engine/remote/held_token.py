"""The next token of a text with a `Beginning`, chosen from what a far side lists. Pure.

The far side knows of no beginning: it is asked for one token after the other, with a list of the likeliest,
until the text is free.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.remote.chances import UNKNOWN
from jupyter_turbopilot.generation import Beginning, Sampling, Token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.generation import Ask

LISTED = 1024  # of the likeliest tokens: nearly always one of them fits
FREE = Beginning()
_NEVER = -1e9  # a bias


def ask_for_one(ask: Ask) -> Ask:
    """Return the request for the next token, with a list of the likeliest."""
    sampling, beginning = ask.sampling, ask.sampling.beginning
    if beginning.ways:
        # As engines here do: the likeliest of those that fit, whatever else is asked for.
        one = Sampling(1, top=LISTED, ignore_end=True, cached=sampling.cached)
    else:
        never = () if beginning.banned is None else ((beginning.banned, _NEVER),)
        biases = (*sampling.logit_bias, *never)
        one = replace(sampling, max_tokens=1, top=LISTED, logit_bias=biases, beginning=FREE)
    return replace(ask, sampling=one, hint=())


def held_token(beginning: Beginning, told: Token | None, vocabulary: Vocabulary) -> Token | None:
    """Return the next token, given what the far side would have written; None where the text ends.

    Its probability is the one among the tokens that may follow. Those that are not listed count as if they
    could: nobody is told to be surer than the model is.
    """
    if not beginning.ways:
        return told and _unbanned(told, beginning.banned)
    listed = told.top if told else ()
    chances = {token: math.exp(chance) for token, chance in listed}
    fitting = {
        token: chance
        for token, chance in chances.items()
        if token != beginning.banned and _fits(_piece(vocabulary, token), beginning.ways)
    }
    if fitting:
        token = max(fitting, key=fitting.__getitem__)
        mass = sum(fitting.values()) + max(0.0, 1.0 - sum(chances.values()))
        return Token(vocabulary.piece(token), fitting[token] / mass, token, listed)
    # Nothing is known of the tokens of a way itself, so what begins with them is not shown unasked.
    for way in beginning.ways:
        token = next(iter(vocabulary.tokenize(way.decode("utf-8", "ignore"), behind=True)), -1)
        if token != beginning.banned and _fits(_piece(vocabulary, token), (way,)):
            return Token(vocabulary.piece(token), UNKNOWN, token, listed)
    return None


def after(ask: Ask, token: Token) -> Ask:
    """Return what is left to be asked behind a token."""
    sampling, beginning = ask.sampling, ask.sampling.beginning
    return replace(
        ask,
        prompt=[*ask.prompt, token.id],
        hint=ask.hint[1:] if ask.hint and ask.hint[0] == token.id else (),
        sampling=replace(
            sampling,
            max_tokens=sampling.max_tokens - 1,
            beginning=beginning.after(token.data) if beginning.ways else FREE,
        ),
    )


def _unbanned(told: Token, banned: int | None) -> Token:
    out = math.exp(dict(told.top).get(banned, -math.inf)) if banned is not None else 0.0
    return replace(told, probability=min(1.0, told.probability / (1 - out)) if out < 1 else UNKNOWN)


def _piece(vocabulary: Vocabulary, token: int) -> bytes:
    try:
        return vocabulary.piece(token)
    except IndexError:
        return b""  # another model's, or no token at all


def _fits(data: bytes, ways: Sequence[bytes]) -> bool:
    # A control token has no bytes.
    return bool(data) and any(way.startswith(data) or data.startswith(way) for way in ways)
