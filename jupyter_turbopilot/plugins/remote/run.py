"""A text that a remote server generates: the received tokens, and the request for the rest."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.plugins.remote.dialect import UNKNOWN
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Token
from jupyter_turbopilot.protocol.errors import EngineError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.plugins.remote.dialect import EventContent
    from jupyter_turbopilot.protocol.errors import TurbopilotError

ANY = PrefixConstraint()
_IGNORES_CONSTRAINTS = (
    'The server ignores prefix constraints. Update it, or set c.TurbopilotRemote.vocabulary = "none".'
)


@dataclass(eq=False)
class RemoteResponse:
    """The answer to one request, which the connection thread fills under the engine's lock."""

    limit: int
    received: list[Token] = field(default_factory=list)  # received tokens that the run has not taken
    count: int = 0  # received tokens
    cached: int | None = None
    ended: bool = False
    cut: bool = False  # whether the server stopped before the end and the limit
    error: TurbopilotError | None = None

    def receive(self, received: EventContent) -> bool:
        """Add an event; return whether the answer has ended."""
        if self.ended:
            return True
        self.received += received.tokens
        self.count += len(received.tokens)
        self.cached = self.cached if received.cached is None else received.cached
        self.ended = received.ended or self.count >= self.limit > 0
        self.cut = received.cut and self.count < self.limit
        return self.ended


@dataclass(eq=False)
class RemoteRun:
    """A text that a remote server generates, with another request each time it is resumed."""

    request: EngineRequest
    limit: int
    beginning: PrefixConstraint = ANY
    # Set if the server's probabilities ignore the prefix constraint.
    vocabulary: Vocabulary | None = None
    started: float = field(default_factory=time.perf_counter)
    written: list[int] = field(default_factory=list)
    fresh: list[Token] = field(default_factory=list)
    done: bool = False
    error: TurbopilotError | None = None
    transfer: Future[None] | None = None
    answer: RemoteResponse = field(default_factory=lambda: RemoteResponse(0))

    @property
    def pending(self) -> int:
        """The number of tokens to evaluate before the next one; the server does not report its progress."""
        return 1 if self.written else len(self.request.prompt)

    @property
    def news(self) -> bool:
        """Whether there is something to take."""
        return bool(self.answer.received or self.answer.ended or self.done)

    def left(self) -> EngineRequest:
        """Return the request for the rest of the text."""
        count, hint = len(self.written), list(self.request.hint)
        sampling = replace(self.request.sampling, max_tokens=self.limit - count, beginning=self.beginning)
        if not count:
            return replace(self.request, sampling=sampling)
        rest = hint[count:] if hint[:count] == self.written else []
        return replace(
            self.request,
            prompt=[*self.request.prompt, *self.written],
            sampling=sampling,
            hint=rest,
        )

    def take(self) -> None:
        """Take the received tokens, as if a local engine had generated them."""
        if self.done:
            return
        answer = self.answer
        received, answer.received = answer.received, []
        ended, cut, self.error = answer.ended, answer.cut, answer.error
        for token in received[: self.limit - len(self.written)]:
            if not self._fits(token.data):
                ended = cut = True
                self.error = None if self.written else EngineError(_IGNORES_CONSTRAINTS)
                break
            self._take(token)
        self.done = ended and not self.error
        self.request.usage.cut = cut and self.done
        self._account(answer)

    def _fits(self, data: bytes) -> bool:
        """Return whether a token satisfies the prefix constraint."""
        candidates = self.beginning.candidates
        return not candidates or any(way.startswith(data) or data.startswith(way) for way in candidates)

    def _take(self, token: Token) -> None:
        beginning, data = self.beginning, token.data
        known = min(beginning.typed, len(data))
        # Typed text is not repeated, and its probability says nothing about the model's confidence.
        chance = 1.0 if known == len(data) else self._probability(token)
        self.beginning = beginning.after(data) if beginning.candidates else ANY
        top = token.top[: self.request.sampling.top]
        self.fresh.append(replace(token, data=data[known:], probability=chance, top=top))
        self.written.append(token.id)

    def _probability(self, token: Token) -> float:
        """Return the probability of a token among those that satisfy the prefix constraint.

        Tokens without a listed probability count as satisfying it, so the result is never too high.
        """
        if self.vocabulary is None or self.beginning == ANY:
            return token.probability
        excluded = 0.0
        for other, logarithm in token.top:
            try:
                data = self.vocabulary.piece(other)
            except IndexError:
                data = b""  # not a token of this vocabulary
            if other == self.beginning.banned or (
                self.beginning.candidates and not (data and self._fits(data))
            ):
                excluded += math.exp(logarithm)
        return min(1.0, token.probability / (1.0 - excluded)) if excluded < 1.0 else UNKNOWN

    def _account(self, answer: RemoteResponse) -> None:
        """Update the usage of the request."""
        usage, now = self.request.usage, time.perf_counter()
        if answer.cached is not None:
            usage.cached_tokens = max(0, min(answer.cached, len(self.request.prompt)))
        if self.written and not usage.predicted_tokens:
            usage.prompt_ms, self.started = (now - self.started) * 1000, now
        usage.predicted_tokens = len(self.written)
        if self.written:
            usage.predicted_ms = (now - self.started) * 1000
