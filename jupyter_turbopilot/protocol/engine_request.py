"""Input and output of an engine, and requests for raw text. Pure."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - an EngineRequest is decoded from a message
from dataclasses import dataclass, field
from typing import Literal

SAMPLERS = ("top_k", "typ_p", "top_p", "min_p", "temperature")  # in their order


@dataclass(frozen=True)
class Markers:
    """The token ids of fill-in-the-middle markers; None if the model lacks one."""

    prefix: int | None = None
    suffix: int | None = None
    middle: int | None = None
    bos: int | None = None


@dataclass(frozen=True)
class PrefixConstraint:
    """A prefix constraint on the text; without `candidates` there is none."""

    candidates: tuple[bytes, ...] = ()  # the text has to begin with one of these
    typed: int = 0  # leading bytes that are already typed (token healing) and not part of the answer
    banned: int | None = None  # a first token that is excluded, as another answer used it

    def after(self, data: bytes) -> PrefixConstraint:
        """Return the constraint that remains after some bytes of the text."""
        free = any(data.startswith(candidate) for candidate in self.candidates)
        candidates = (
            ()
            if free
            else tuple(candidate[len(data) :] for candidate in self.candidates if candidate.startswith(data))
        )
        return PrefixConstraint(candidates, max(0, self.typed - len(data)))


@dataclass(frozen=True)
class Sampling:
    """Sampling parameters. Temperature 0 selects the likeliest token."""

    max_tokens: int = 48
    temperature: float = 0.0
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    penalty_last_n: int = 64
    logit_bias: tuple[tuple[int | str, float], ...] = ()  # by token, or by text for each of its tokens
    samplers: tuple[str, ...] = SAMPLERS
    ignore_end: bool = False  # whether to continue after an end-of-text token
    seed: int = 0
    top: int = 0  # number of alternative tokens to report at each position
    drawn: bool = False  # whether to report probabilities after the samplers instead of the model's own
    beginning: PrefixConstraint = PrefixConstraint()
    cached: bool = True  # whether cached sequences may be used

    @property
    def even(self) -> bool:
        """Whether prompts are evaluated in batches of fixed sizes: batch sizes change the last digits."""
        return not self.cached or self.top > 0

    @property
    def penalised(self) -> bool:
        """Whether repetition is penalised."""
        return (self.repeat_penalty, self.frequency_penalty, self.presence_penalty) != (1.0, 0.0, 0.0)

    @property
    def plain(self) -> bool:
        """Whether the likeliest token is always selected."""
        return self.temperature <= 0 and not (self.penalised or self.logit_bias or self.ignore_end)


@dataclass(frozen=True)
class Token:
    """A generated token and its probability."""

    data: bytes
    probability: float
    id: int = -1
    top: tuple[tuple[int, float], ...] = ()  # alternative tokens with their logprobs
    opening: float = 0.0  # probability of all tokens that begin with the same bracket; 0: unknown or none


@dataclass
class Usage:
    """Statistics of a request, updated while it runs."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    prompt_ms: float = 0.0
    predicted_tokens: int = 0
    predicted_ms: float = 0.0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    cut: bool = False  # whether the engine truncated the text


@dataclass(frozen=True)
class EngineRequest:
    """A text to generate: prompt, sampling parameters, and a guess at the result."""

    prompt: Sequence[int]
    sampling: Sampling = Sampling()
    usage: Usage = field(default_factory=Usage)
    hint: list[int] = field(default_factory=list)  # may be added while the prompt is evaluated
    aligned: bool = True  # whether the hint begins at a token boundary
    suffix_span: tuple[int, int] = (0, 0)  # start and end of the suffix, which moves but seldom changes
    context_end: int = 0  # tokens before this position may be moved if earlier ones have changed
    priority: str = ""  # urgency, for an engine that also serves others
    tenant: str = ""  # tenant: sequences are never shared between tenants
    session: str = ""  # notebook of the request, for routing between engines
    automatic: bool = False  # whether the editor sends it while the user types


Urgency = Literal["typing", "text", "bulk", "prefetch", "warmup"]


@dataclass(frozen=True)
class ExactRequest:
    """Parameters of a request from another Turbopilot server, which are used unchanged."""

    hint: tuple[int, ...] = ()
    aligned: bool = True
    suffix_span: tuple[int, int] = (0, 0)
    context_end: int = 0
    urgency: Urgency | None = None
    automatic: bool = False


@dataclass(frozen=True)
class RawRequest:
    """Text to generate after a prompt, or between it and a suffix."""

    prompt: str | tuple[int | str, ...] = ""
    suffix: str | None = None  # None: plain continuation; otherwise fill-in-the-middle
    typed: str = ""  # the line at the cursor, which llama.cpp's editors send separately
    others: tuple[tuple[str, str], ...] = ()  # names and texts of other files
    context: tuple[tuple[str, str], ...] = ()  # parts of a template above the gap: see `prompt.infill`
    window: bool = False  # whether to lay it out like `/infill` of llama.cpp's server
    moves: bool = False  # whether keys and values may be moved in `/infill`
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    indent: int = 0  # a line with less indentation ends the text
    n: int = 1
    best_of: int = 1
    stream: bool = False
    bulk: bool = False  # one of several prompts in a request: interactive requests go first
    cut: bool = False  # whether to truncate a prompt that is too long
    prompt_seconds: float = 0.0  # time limit of prompt evaluation; 0: none
    seconds: float = 0.0  # time limit of generation
    prefetch: bool = False  # prefetch: only evaluate the prompt, after all other work
    exact: ExactRequest | None = None  # set if the prompt consists of token ids to use unchanged
    salt: str = ""  # separates caches within a tenant: only equal salts share sequences
    session: str = ""  # notebook of the request: a router sends it to the same replica
