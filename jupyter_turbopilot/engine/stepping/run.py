"""One text being written: its tokens, what a batch computes for it, and the choice of its next token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from jupyter_turbopilot.engine.stepping.sampling import UNDRAWN, choose, likeliest
from jupyter_turbopilot.generation import Ask, Beginning, Token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.engine.stepping.sampling import Ids, Logits
    from jupyter_turbopilot.engine.stepping.sequences import KVSequence, MovedSuffix
    from jupyter_turbopilot.engine.stepping.vocabulary import ByteTable

_ANY = Beginning()


class Sampler(Protocol):
    """Draws the tokens of one text."""

    def pick(self, logits: Logits) -> int | None:
        """Return the next token; None where there is none."""

    def chances(self, token: int, count: int) -> tuple[float, tuple[tuple[int, float], ...]]:
        """Return how probable the last token was when it was drawn, and the likeliest with it."""

    def accept(self, token: int) -> None:
        """Take note of a token that was written."""

    def close(self) -> None:
        """Free its memory."""


class BatchToken(NamedTuple):
    """One token of a batch."""

    sequence: int
    position: int
    token: int
    output: bool


class Guess(NamedTuple):
    """Tokens that a text may continue with, and where they come from."""

    source: str = ""
    tokens: Sequence[int] = ()


class Share(NamedTuple):
    """What a batch does for one text."""

    run: StepRun
    known: int  # tokens that are to be read, before the guess
    guess: Guess

    def rows(self) -> Iterator[BatchToken]:
        """List the tokens of the batch; those that say how the text continues have an output."""
        run, known, guess = self
        start = len(run.sequence.tokens)
        outputs = known - 1 if known == run.pending else known + len(guess.tokens)
        for i, token in enumerate((*run.tokens[start : start + known], *guess.tokens)):
            yield BatchToken(run.sequence.id, start + i, token, i >= outputs)


@dataclass(eq=False)
class StepRun:
    """A text being written, in the sequence that was chosen for it."""

    ask: Ask
    sequence: KVSequence
    tokens: list[int]  # the prompt and what was accepted; the sequence may lag behind
    limit: int
    beginning: Beginning
    started: float
    suffix: MovedSuffix | None = None  # detached until what stands before it has been read
    sampler: Sampler | None = None
    continues: bool = False  # whether the last guess was right to its end: the next one continues it
    wrote: int = 0
    fresh: list[Token] = field(default_factory=list)
    done: bool = False
    suspended: bool = False  # whether others have its room for the moment

    @property
    def pending(self) -> int:
        """How many tokens are to be read before the next can be written."""
        return len(self.tokens) - len(self.sequence.tokens)

    @property
    def unread(self) -> int:
        """How many of these have to be computed: all but a part that was read before, and is moved."""
        return self.pending - (self.suffix.count if self.suffix else 0)

    def choose(self, logits: Logits, table: ByteTable, controls: Ids, ends: AbstractSet[int]) -> int | None:
        """Take the next token from a row of logits; None at the end of the text."""
        beginning = self.beginning
        allowed = table.compatible(beginning.ways) if beginning.ways else None
        if beginning.banned is not None:
            logits = logits.copy()
            logits[beginning.banned] = -np.inf
        drawn = self.sampler.pick(logits) if self.sampler and allowed is None else UNDRAWN
        if drawn is None:
            self.wrote += 1
            return None
        token, probability = choose(logits, controls, ends, allowed, drawn)
        self.wrote += 1
        if token in ends:
            return None
        if self.sampler:
            self.sampler.accept(token)
        self.tokens.append(token)
        data = table.pieces[token]
        known = min(beginning.typed, len(data))
        self.beginning = beginning.after(data) if beginning.ways else _ANY
        sampling = self.ask.sampling
        if sampling.drawn and sampling.top:
            # The likeliest was taken where nothing was drawn: there was no other way.
            probability, top = (
                self.sampler.chances(token, sampling.top) if self.sampler else (1.0, ((token, 0.0),))
            )
        else:
            top = likeliest(logits, sampling.top)
        # What was typed already is not written again, and says nothing about how sure the model is.
        self.fresh.append(Token(data[known:], 1.0 if known == len(data) else probability, token, top))
        return token
