"""Alternatives to an answer: branches at the tokens the model was least sure of. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.generation import Token

SURE = 0.9  # a token at least as likely as this has no alternative worth reading


class Branch(NamedTuple):
    """The tokens kept of the first answer, and the token that must not follow them."""

    kept: Sequence[Token]
    banned: int


def branches(tokens: Sequence[Token], count: int) -> list[Branch]:
    """Return the branches at the least certain tokens of an answer's first line."""
    line: list[Token] = []
    begun = False
    for token in tokens:
        if b"\n" in token.data and begun:
            break
        begun = begun or bool(token.data.strip())
        line.append(token)
    unsure = [at for at, token in enumerate(line) if token.probability < SURE and token.data.strip()]
    unsure.sort(key=lambda at: line[at].probability)
    return [Branch(line[:at], line[at].id) for at in unsure[:count]]
