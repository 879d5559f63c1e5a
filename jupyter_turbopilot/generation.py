"""What goes into a generation and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - an ask is read back from a message
from dataclasses import dataclass, field

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
