"""Prompt layout of suggestions for an engine, shared by completion and training."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.notebook import outline
from jupyter_turbopilot.context.ranking import chosen
from jupyter_turbopilot.prompt.formats import (
    WIDEST,
    Budget,
    build,
    form_for,
    heal_word,
    keep_tail,
    pieces_left_out,
)
from jupyter_turbopilot.protocol.errors import EngineError
from jupyter_turbopilot.util.bounds import cached_function, common_prefix_length

if TYPE_CHECKING:
    from jupyter_turbopilot.context.notebook import Context
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.prompt.formats import Prompt
    from jupyter_turbopilot.protocol.request import Completion
    from jupyter_turbopilot.settings.config import Turbopilot

LAYOUT = 2  # version of the prompt layout: a change invalidates cached completions
SUFFIX_TOKENS = 96
MOST_EVALUATED = 8  # remembered whole prompts
PIECES_REMEMBERED = 2**23  # bytes of cached cells and their tokens
BEST_REMEMBERED = 2**21
PIECES_SHARE = 8  # one such share for the outline of omitted pieces, one for the best of them


class Layout:
    """Lays out prompts for an engine, and caches the tokens of cells."""

    def __init__(self, engine: Engine, settings: Turbopilot, suffix_tokens: int = SUFFIX_TOKENS) -> None:
        self._engine = weakref.ref(engine)  # weak, so that a replaced engine can be freed
        self.context_size = engine.context_size
        self.settings = settings
        self._suffix_tokens = suffix_tokens  # maximum after the cursor
        vocabulary = engine.vocabulary
        self.unit = vocabulary.unit
        self._evaluated: tuple[list[int], ...] = ()  # the latest whole prompt of each of some notebooks
        # The cursor cannot split a token of a character model.
        self._heals = engine.capabilities.prefix_constraints and self.unit == 1
        self.form = form_for(vocabulary.find_token, vocabulary.markers, engine.fim)
        self.tokenize = cached_function(PIECES_REMEMBERED)(self._tokenize)
        self._best_of = cached_function(BEST_REMEMBERED)(self._find_best)

    def _tokenize(self, text: str) -> list[int]:
        return self.vocabulary.tokenize(text)

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens; raises EngineError if the model is gone."""
        engine = self._engine()
        if engine is None:
            raise EngineError("The model has just been changed. Try again.")
        return engine.vocabulary

    def is_for(self, engine: Engine) -> bool:
        """Return whether prompts are laid out for this engine."""
        return self._engine() is engine

    def evaluated_length(self, prompt: list[int]) -> int:
        """Return the length of the part of a prompt that was evaluated as part of a whole prompt."""
        return max((common_prefix_length(prompt, each) for each in self._evaluated), default=0)

    def note_evaluated(self, prompt: list[int]) -> None:
        """Remember a whole prompt, instead of an older one of the same notebook: they begin alike."""
        others = [
            each
            for each in self._evaluated
            if 2 * common_prefix_length(prompt, each) < min(len(prompt), len(each))
        ]
        # Replaced, not changed: other threads may be reading it.
        self._evaluated = (*others[1 - MOST_EVALUATED :], prompt)

    def prompt(self, request: Completion, context: Context, prompt_tokens: int = 0) -> Prompt:
        """Return the prompt of a request. `prompt_tokens`: maximum before the cursor; 0: the setting."""
        vocabulary, settings, unit = self.vocabulary, self.settings, self.unit
        # The markers, the beginning-of-text token and at least one answer token have to fit as well.
        most = self.context_size - 8
        suffix = min(self._suffix_tokens * unit, most // 4)
        answer = min((request.max_tokens or settings.max_tokens) * unit, most // 2)
        prefix = max(1, min((prompt_tokens or settings.prompt_tokens) * unit, most - suffix - answer))
        pieces = [self.tokenize(piece) for piece in context.pieces]
        text = keep_tail(context.prefix, WIDEST * prefix)
        near, forced = vocabulary.tokenize(text), b""
        gone = pieces_left_out([*map(len, pieces)], len(near), prefix)
        if gone:
            kept = "".join(context.pieces[gone:])
            pieces = [*self._best_of(context.pieces[:gone], kept, prefix // PIECES_SHARE), *pieces[gone:]]
        if self._heals:
            near, forced = heal_word(text, near, vocabulary.piece)
        return build(
            # A character model spells: it loses a word whose beginning is far from its end.
            self.form.joined if vocabulary.by_character else self.form,
            vocabulary.tokenize,
            context=pieces,
            prefix=near,
            suffix=context.suffix,
            budget=Budget(prefix, suffix),
            forced=forced,
        )

    def _find_best(self, pieces: tuple[str, ...], kept: str, share: int) -> list[list[int]]:
        """Return replacements for pieces that do not fit: an outline, and those most relevant to the rest."""
        best = chosen(pieces, kept, share, lambda text: len(self.tokenize(text)))
        return [self.tokenize(outline(pieces))[:share], *map(self.tokenize, best)]
