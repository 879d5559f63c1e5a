"""One request, from its submission to its last reply."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from jupyter_turbopilot.completer.editors import Editor, Editors
from jupyter_turbopilot.completer.reply_publisher import ReplyPublisher
from jupyter_turbopilot.completer.text import Text
from jupyter_turbopilot.completer.text_generator import TextGenerator
from jupyter_turbopilot.engine.job import SUPERSEDED, Job
from jupyter_turbopilot.prompt.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.completer.cache.completion_cache import CompletionCache
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.completer.suggestion_plan import Matches
    from jupyter_turbopilot.engine.base import Engine, Speed
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Token
    from jupyter_turbopilot.protocol.errors import TurbopilotError
    from jupyter_turbopilot.protocol.reply import Reply
    from jupyter_turbopilot.settings.config import Turbopilot


@dataclass
class Shared:
    """State that all requests of a completer share."""

    settings: Turbopilot
    results: CompletionCache
    counters: dict[str, int]
    first_prompt_tokens: Callable[[Speed], int] = lambda _: 0  # 0: all
    evaluate_whole: Callable[[CompletionJob], None] = lambda _: None  # in the next pauses
    editors: Editors = field(default_factory=Editors)
    last_ms: float | None = None  # duration of the last answered request
    layout: Layout | None = None

    def layout_for(self, engine: Engine) -> Layout:
        """Return the prompt layout for an engine."""
        if self.layout is None or not self.layout.is_for(engine):
            self.layout = Layout(engine, self.settings)
        return self.layout


class CompletionJob(Job):
    """One request: its plan, the generator of its text, and its replies.

        look-up ────────▶ waiting ──▶ begun ──▶ ended
              │              │                    ▲
              └──────────────┴────────────────────┘ superseded, cancelled, late, answered from index or cache

    The look-up thread calls `offer`. The worker's thread calls `begin`, `feed` and `close`. Any thread may
    call `end`.
    """

    awaits_look_up = False  # whether the look-up has not ended; protected by the lock of `Editors`

    def __init__(self, plan: Plan, caller: str, listeners: Sequence[Listener], shared: Shared) -> None:
        """`listeners` receive each reply, in this order."""
        super().__init__(priority=plan.priority, deadline=plan.deadline, caller=caller, client=plan.client)
        self.id = uuid4().hex
        self.plan = plan
        self.editor = Editor(caller, plan.client)
        self._shared = shared
        self._publisher = ReplyPublisher(self.id, listeners, shared.counters)
        self._generator: TextGenerator | None = None

    @property
    def text(self) -> Text:
        """The text that is being generated; empty before `begin`, and after another request took it over."""
        return self._generator.text if self._generator else Text()

    def release_text(self) -> Text:
        """Return the text, which a newer request takes over, and continue with an empty one."""
        text = self.text
        if self._generator:
            self._generator.text = Text()
        return text

    def supersede_older(self) -> None:
        """Supersede the request that this one was to take over from."""
        if self.older:
            self.older.cancel.set(SUPERSEDED)
            self.older = None

    def offer(self, matches: Matches | None, model: str) -> bool:
        """Store the index matches; answer with a confident complete line. Return whether there is one.

        `matches` is None if the index did not answer in time. `model` is empty if no engine is ready.
        """
        whole = self._publisher.offer(matches, model)
        if whole:
            self.answer(whole)
        return whole is not None

    def answer(self, reply: Reply) -> None:
        """End with a reply that needs no engine."""
        self.supersede_older()
        self._publisher.result = reply
        self.finish(None)

    def begin(self, engine: Engine, older: Job | None) -> EngineRequest | None:
        text = older.release_text() if isinstance(older, CompletionJob) else Text()
        self._generator = TextGenerator(self, self.plan, engine, text, self._shared, self._publisher)
        return self._generator.resume()

    def feed(self, tokens: list[Token]) -> EngineRequest | None:
        """Take generated tokens; return the request that continues."""
        return self._generator.resume(tokens) if self._generator else None

    def close(self) -> None:
        """Cache the text as a draft, unless another request continues it."""
        if self._generator:
            self._generator.close()

    def end(self, error: TurbopilotError | None) -> None:
        """Send the last reply, with the items or the reason why there are none."""
        reply = self._publisher.last(error, self.cancel.reason, uncached=self.plan.uncached)
        shared = self._shared
        shared.editors.leave(self)
        if reply.items:
            shared.last_ms = reply.timings.total_ms
        elif self.plan.automatic and not (self.plan.exact or self.cancel.is_set() or reply.error):
            shared.counters["hidden"] += 1
        self._publisher.publish(reply)
