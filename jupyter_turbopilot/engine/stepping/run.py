"""A text that is being generated: its tokens, its share of a batch, and the choice of the next token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from jupyter_turbopilot.engine.stepping.sampling import UNDRAWN, choose, likeliest, share
from jupyter_turbopilot.engine.stepping.sequences import KVSequence
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.engine.stepping.sampling import Ids, Logits
    from jupyter_turbopilot.engine.stepping.vocabulary import ByteTable

_ANY = PrefixConstraint()
_OPENING = (b"(", b"[")


class Sampler(Protocol):
    """Samples the tokens of one text."""

    def pick(self, logits: Logits) -> int | None:
        """Return the next token, or None."""

    def chances(self, token: int, count: int) -> tuple[float, tuple[tuple[int, float], ...]]:
        """Return the probability of the last token after sampling, and the most likely tokens."""

    def accept(self, token: int) -> None:
        """Add a generated token to the sampler's state."""

    def close(self) -> None:
        """Free its memory."""


class BatchToken(NamedTuple):
    """One token of a batch."""

    sequence: int
    position: int
    token: int
    output: bool


class Guess(NamedTuple):
    """Draft tokens and their source."""

    source: str = ""
    tokens: Sequence[int] = ()


class Share(NamedTuple):
    """The part of a batch that belongs to one text."""

    run: StepRun
    known: int  # pending tokens, before the draft
    guess: Guess

    def rows(self) -> Iterator[BatchToken]:
        """Iterate over the tokens; the last pending one and the draft have outputs."""
        run, known, guess = self
        start = len(run.sequence.tokens)
        outputs = known - 1 if known == run.pending else known + len(guess.tokens)
        for i, token in enumerate((*run.tokens[start : start + known], *guess.tokens)):
            yield BatchToken(run.sequence.id, start + i, token, i >= outputs)


@dataclass(frozen=True, eq=False)
class Continuation:
    """The logits after a prompt, and the most likely tokens from there; None: the end of the text.

    The first token depends on the prefix constraint.
    """

    logits: Logits
    tokens: list[Token | None] = field(default_factory=list)


@dataclass(eq=False)
class StepRun:
    """A text that is being generated in a sequence."""

    request: EngineRequest
    tokens: list[int]  # the prompt and the generated tokens; the sequence may lag behind
    limit: int
    beginning: PrefixConstraint
    started: float
    sequence: KVSequence = field(default_factory=lambda: KVSequence(-1))  # set when it gets a slot
    continuation: Continuation | None = None  # records its tokens
    sampler: Sampler | None = None
    continues: bool = False  # whether the last draft was accepted completely
    wrote: int = 0
    fresh: list[Token] = field(default_factory=list)
    done: bool = False
    suspended: bool = True  # whether it has no sequence

    @property
    def pending(self) -> int:
        return len(self.tokens) - len(self.sequence.tokens)

    @property
    def is_repeatable(self) -> bool:
        """Whether the next keystroke may send the same prompt, which then has the same continuation."""
        sampling = self.request.sampling
        usual = sampling.plain and not sampling.even and sampling.beginning.banned is None
        return usual and self.request.automatic

    @property
    def unread(self) -> int:
        """The pending tokens without the detached parts, which are evaluated already."""
        return self.pending - self.sequence.waiting

    def choose(self, logits: Logits, table: ByteTable, controls: Ids, ends: AbstractSet[int]) -> int | None:
        """Choose the next token from a row of logits; return None at the end of the text."""
        known = self.continuation
        # The first token is stored with its constraint; later ones are only repeated without one.
        is_kept = not self.wrote or not self.beginning.candidates
        generated = self.tokens[len(self.request.prompt) :]
        token = self._choose(logits, table, controls, ends)
        # Another run with this prompt may have added other tokens, after a near tie.
        if known and is_kept and [each and each.id for each in known.tokens] == generated:
            known.tokens.append(None if token is None else self.fresh[-1])
        return token

    def repeat(self, tokens: Iterable[Token | None]) -> None:
        """Add known tokens to the text, as far as its limit allows."""
        for token in tokens:
            if self.done or self.wrote >= self.limit:
                break
            self.wrote += 1
            self.done = token is None
            if token:
                self.tokens.append(token.id)
                self.fresh.append(token)

    def _choose(self, logits: Logits, table: ByteTable, controls: Ids, ends: AbstractSet[int]) -> int | None:
        beginning = self.beginning
        allowed = table.compatible(beginning.candidates) if beginning.candidates else None
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
        self.beginning = beginning.after(data) if beginning.candidates else _ANY
        sampling = self.request.sampling
        if sampling.drawn and sampling.top:
            # Without a sampler the most likely token is the only candidate.
            probability, top = (
                self.sampler.chances(token, sampling.top) if self.sampler else (1.0, ((token, 0.0),))
            )
        else:
            top = likeliest(logits, sampling.top)
        opens = allowed is None and data[:1] in _OPENING
        opening = share(logits, table.compatible([data[:1]])) if opens else 0.0
        # Typed text is not repeated, and its probability says nothing about the model's confidence.
        probability = 1.0 if known == len(data) else probability
        self.fresh.append(Token(data[known:], probability, token, top, opening))
        return token
