"""State that all requests of a completer share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.prompt.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.completer.cache.completion_cache import CompletionCache
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.engine.base import Engine, Speed
    from jupyter_turbopilot.settings.config import Turbopilot


@dataclass
class Shared:
    """State that all requests of a completer share."""

    settings: Turbopilot
    results: CompletionCache
    counters: dict[str, int]
    first_prompt_tokens: Callable[[Speed], int] = lambda _: 0  # 0: all
    # Evaluates the whole prompt of a plan, for a caller, in the next pauses.
    evaluate_whole: Callable[[Plan, str], None] = lambda *_: None
    last_ms: float | None = None  # duration of the last answered request
    layout: Layout | None = None  # of prompts for the last engine

    def layout_for(self, engine: Engine) -> Layout:
        """Return the layout of prompts for an engine."""
        if self.layout is None or not self.layout.is_for(engine):
            self.layout = Layout(engine, self.settings)
        return self.layout
