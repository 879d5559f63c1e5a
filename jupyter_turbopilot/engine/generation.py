"""What goes into a generation and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Markers:
    """The token ids a fill-in-the-middle prompt is built with; None where the model has none."""

    prefix: int | None = None
    suffix: int | None = None
    middle: int | None = None
    bos: int | None = None


@dataclass(frozen=True)
class Sampling:
    """How to choose tokens. Temperature 0 takes the likeliest."""

    max_tokens: int = 48
    temperature: float = 0.0
    top_k: int = 40
    top_p: float = 0.95
    seed: int = 0
    forced: bytes = b""  # the text has to begin with these bytes (token healing)
    banned: int | None = None  # a token that it may not begin with: another one has been there already


@dataclass(frozen=True)
class Token:
    """One token of the answer and how probable it was."""

    data: bytes
    probability: float
    id: int = -1


@dataclass
class Usage:
    """What a request cost, filled in as it runs."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    prompt_ms: float = 0.0
    predicted_tokens: int = 0
    predicted_ms: float = 0.0
    drafted_tokens: int = 0
    accepted_tokens: int = 0


@dataclass(frozen=True)
class Ask:
    """One text to be written: where it starts, how to choose, and what it may turn out to be."""

    prompt: Sequence[int]
    sampling: Sampling = Sampling()
    usage: Usage = field(default_factory=Usage)
    hint: Sequence[int] = ()
    aligned: bool = True  # whether the hint begins where a token began
    fixed: tuple[int, int] = (0, 0)  # the part of the prompt that moves but seldom changes: from, to
