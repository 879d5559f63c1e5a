"""What goes into a generation and what comes out of it; requests for raw text. Pure."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - an ask is read back from a message
from dataclasses import dataclass, field
from typing import Literal

SAMPLERS = ("top_k", "typ_p", "top_p", "min_p", "temperature")  # which cuts, in which order


@dataclass(frozen=True)
class Markers:
    """The token ids a fill-in-the-middle prompt is built with; None where the model has none."""

    prefix: int | None = None
    suffix: int | None = None
    middle: int | None = None
    bos: int | None = None


@dataclass(frozen=True)
class Beginning:
    """What a text may begin with; nothing: whatever it likes."""

    ways: tuple[bytes, ...] = ()  # it begins with one of these
    typed: int = 0  # so many of the first bytes are there already (token healing): they are not said again
    banned: int | None = None  # a token that it may not begin with: another one has been there already

    def after(self, data: bytes) -> Beginning:
        """Return what is left of it when these bytes are written."""
        free = any(data.startswith(way) for way in self.ways)
        ways = () if free else tuple(way[len(data) :] for way in self.ways if way.startswith(data))
        return Beginning(ways, max(0, self.typed - len(data)))


@dataclass(frozen=True)
class Sampling:
    """How to choose tokens. Temperature 0 takes the likeliest."""

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
    ignore_end: bool = False  # whether the text goes on where it would end
    seed: int = 0
    top: int = 0  # how many of the likeliest tokens are told at each place
    drawn: bool = False  # whether what is told is what was drawn from, not the model's own distribution
    beginning: Beginning = Beginning()
    cached: bool = True  # whether what was read before may serve

    @property
    def even(self) -> bool:
        """Tell whether it is read in batches of the same sizes each time: those change the last digits."""
        return not self.cached or self.top > 0

    @property
    def penalised(self) -> bool:
        """Tell whether what was written makes itself less likely."""
        return (self.repeat_penalty, self.frequency_penalty, self.presence_penalty) != (1.0, 0.0, 0.0)

    @property
    def plain(self) -> bool:
        """Tell whether the likeliest token is the one that is wanted."""
        return self.temperature <= 0 and not (self.penalised or self.logit_bias or self.ignore_end)


@dataclass(frozen=True)
class Token:
    """One token of the answer and how probable it was."""

    data: bytes
    probability: float
    id: int = -1
    top: tuple[tuple[int, float], ...] = ()  # the likeliest tokens here, with their logarithms


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
    cut: bool = False  # whether the text ended early, for a reason of the engine's own


@dataclass(frozen=True)
class Ask:
    """One text to be written: where it starts, how to choose, and what it may turn out to be."""

    prompt: Sequence[int]
    sampling: Sampling = Sampling()
    usage: Usage = field(default_factory=Usage)
    hint: Sequence[int] = ()
    aligned: bool = True  # whether the hint begins where a token began
    suffix_span: tuple[int, int] = (0, 0)  # the part of the prompt that moves but seldom changes: from, to
    language: str = ""  # some adapters are for one language alone
    priority: str = ""  # who waits for it: for an engine that serves others, too
    owner: str = ""  # what was read for one owner never serves another
    session: str = ""  # the notebook that it belongs to, for what chooses between engines
    passing: bool = False  # what is read for it is not saved for the next start


Urgency = Literal["typing", "text", "bulk", "ahead", "warm"]


@dataclass(frozen=True)
class ExactAsk:
    """What another server of ours had asked its engine: nothing is added to it here, or known better."""

    hint: tuple[int, ...] = ()
    aligned: bool = True
    suffix_span: tuple[int, int] = (0, 0)
    language: str = ""
    urgency: Urgency | None = None


@dataclass(frozen=True)
class RawRequest:
    """Text that is to be written behind a prompt, or between it and a suffix."""

    prompt: str | tuple[int | str, ...] = ""
    suffix: str | None = None  # None: the model goes on; otherwise it fills in
    typed: str = ""  # the line at the cursor, which llama.cpp's editors send apart
    others: tuple[tuple[str, str], ...] = ()  # other files and their texts
    context: tuple[tuple[str, str], ...] = ()  # what a template put before it: see `holes`
    window: bool = False  # lay it out as llama.cpp's server does for `/infill`
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    indent: int = 0  # a line further left than this does not belong to it
    n: int = 1
    best_of: int = 1
    stream: bool = False
    bulk: bool = False  # one of several that are asked for together: whoever types goes first
    cut: bool = False  # whether a prompt that does not fit loses its far end
    prompt_seconds: float = 0.0  # how long the prompt may be read; 0: as long as it takes
    seconds: float = 0.0  # how long may be written
    ahead: bool = False  # only read, for what will be asked later: everything else goes first
    exact: ExactAsk | None = None  # the prompt is token ids, which are used as they are
    salt: str = ""  # splits the owner's texts: what has another salt shares nothing with it
    session: str = ""  # which notebook it belongs to: a router sends the same to the same replica
