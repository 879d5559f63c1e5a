"""The text of a generation, which the editor's next request may continue."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.completer.cache.completion_cache import TAIL, tokens_after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.completer.cache.completion_cache import CacheKey, CompletionCache
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.prompt.formats import Prompt
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Token
    from jupyter_turbopilot.suggestion.writing import Writing

MAX_TYPED_AHEAD = 32  # bytes; longer text was pasted, not typed


class Remainder(NamedTuple):
    """The part of a text that the user has not typed yet."""

    tokens: tuple[Token, ...]
    aligned: bool = True  # whether it starts at a token boundary
    typed_ahead: bytes = b""  # text that the user typed before it was generated

    @property
    def has_probabilities(self) -> bool:
        """Whether the probabilities of its tokens apply: it starts at a token that was generated whole."""
        return self.aligned and not self.typed_ahead


class TextStart(NamedTuple):
    """The start of a text."""

    engine_request: EngineRequest
    remainder: Remainder = Remainder(())  # tokens that are already generated
    taken_over: bool = False  # whether an earlier request submitted the request


def typed_since(older: CacheKey, newer: CacheKey) -> str | None:
    """Return the text typed after the older request; None if the owner or any other text differs."""
    if newer.tenant != older.tenant:
        return None
    if newer.before.startswith(older.before):
        return newer.before[len(older.before) :]
    # As the text before the cursor grows, distant cells are removed from its start.
    at = newer.before.rfind(older.tail) if len(older.tail) == TAIL else -1
    return newer.before[at + TAIL :] if at >= 0 else None


def remainder_after(tokens: Sequence[Token], typed: bytes) -> Remainder | None:
    """Return the remainder of a text after the typed part; None if the two disagree."""
    generated = b"".join(token.data for token in tokens)
    if not (generated.startswith(typed) or typed.startswith(generated)):
        return None
    return Remainder(*tokens_after(tokens, len(typed)), typed_ahead=typed[len(generated) :])


@dataclass
class Text:
    """A text that is being generated."""

    cache_key: CacheKey | None = None  # the key of its cache entry; None: it is not cached
    writing: Writing | None = None
    engine_request: EngineRequest | None = None  # None: the engine has stopped
    prompt: Prompt | None = None
    ids: list[int] = field(default_factory=list)  # all tokens generated after the prompt
    typed_ahead: bytes = b""  # text that the user typed before it was generated
    has_probabilities: bool = (
        True  # see `Remainder`; without them the gate may hide a text that it would show
    )

    @property
    def tokens(self) -> Sequence[Token]:
        """The tokens generated after `cache_key`."""
        return self.writing.tokens if self.writing else ()

    @property
    def begun(self) -> bool:
        """Whether some of it is generated or typed ahead."""
        return bool(self.engine_request and (self.ids or self.typed_ahead))

    @property
    def evaluated(self) -> list[int]:
        """The prompt and all generated tokens."""
        return [*(self.prompt.tokens if self.prompt else ()), *self.ids]

    def remainder(self, cache_key: CacheKey) -> Remainder | None:
        """Return the remainder of the text at a newer place; None if the typed text disagrees."""
        typed = typed_since(self.cache_key, cache_key) if self.cache_key else None
        return None if typed is None else remainder_after(self.tokens, self.typed_ahead + typed.encode())

    def beyond_typed(self, tokens: Sequence[Token]) -> Sequence[Token] | None:
        """Return the part of new tokens that the user has not typed ahead; None if the two differ."""
        if not self.typed_ahead:
            return tokens
        if remainder := remainder_after(tokens, self.typed_ahead):
            self.typed_ahead, self.has_probabilities = remainder.typed_ahead, remainder.has_probabilities
        return remainder.tokens if remainder else None

    def is_continued_by(
        self, plan: Plan, newer: CacheKey, remainder: Remainder | None, names: Sequence[str]
    ) -> bool:
        """Return whether a newer request continues this text instead of starting a new one.

        `Worker.submit` ensures that the request is for the same editor and cell. It continues the text if:
        1. It requests one text, without sampling.
        2. It differs from the older request only in the typed text. The text after the cursor, the limits
           and the tenant are the same. The kernel context, too, if a name follows.
        3. The typed text agrees with the generated text. It may be longer by a few bytes.
        4. Some of the text is generated or typed ahead, and the engine has not stopped.
        5. If one of `names` must follow, the generated text starts with one of them, or is constrained to.
        """
        older = self.cache_key
        if (
            not (remainder and older and self.engine_request and self.begun)
            or plan.limits.n > 1
            or not plan.is_cacheable
        ):
            return False
        if (older.group, older.after, older.limit) != (newer.group, newer.after, newer.limit):
            return False
        constrained = bool(self.engine_request.sampling.beginning.candidates)
        if older.kernel != newer.kernel and (names or constrained):
            return False
        if len(remainder.typed_ahead) > MAX_TYPED_AHEAD:
            return False
        generated = b"".join(token.data for token in remainder.tokens)
        # A text with a prefix constraint becomes one of the names.
        becomes_name = constrained and bool(generated)
        candidates = [name.encode() for name in names]
        return not candidates or any(
            generated.startswith(name) or (becomes_name and name.startswith(generated)) for name in candidates
        )

    def keep(self, results: CompletionCache) -> None:
        """Cache the text as a draft and clear it: no request continues it."""
        if self.cache_key and self.tokens:
            results.remember(self.cache_key, self.tokens, ended=False, partial=True)
        self.writing = self.engine_request = None
        self.typed_ahead = b""
