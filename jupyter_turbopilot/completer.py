"""The one completer: context -> prompt -> engine -> trim -> gate. Nobody goes round it."""

from __future__ import annotations

import codecs
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jupyter_turbopilot.context.notebook import gather
from jupyter_turbopilot.engine.generation import Sampling, Usage
from jupyter_turbopilot.engine.worker import DEADLINE, SUPERSEDED, Job, Priority, Worker
from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.prompt import Budget, build, heal_indentation, heal_token, infill_for
from jupyter_turbopilot.suggestion.gate import Confidence, first_lines
from jupyter_turbopilot.suggestion.trim import Shape, shape_of, trim

if TYPE_CHECKING:
    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.prompt import Heal, Infill, Prompt, Tokenize
    from jupyter_turbopilot.request import Completion

ALTERNATIVE_TEMPERATURE = 0.7
PIECES_REMEMBERED = 512
_PRIORITIES = {"warm": Priority.WARM, "ahead": Priority.AHEAD}


@dataclass(frozen=True)
class Item:
    """One suggestion."""

    text: str
    confidence: float
    finish_reason: str


@dataclass(frozen=True)
class Timings:
    """Where the time went."""

    queue_ms: float = 0.0
    context_ms: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    prompt_ms: float = 0.0
    predicted_tokens: int = 0
    predicted_ms: float = 0.0
    total_ms: float = 0.0


@dataclass(frozen=True)
class Reply:
    """A frame of the answer; the last one is `done`."""

    id: str
    model: str = ""
    items: tuple[Item, ...] = ()
    timings: Timings = field(default_factory=Timings)
    finish_reason: str | None = None
    done: bool = False
    error: TurbopilotError | None = None

    def body(self) -> dict[str, Any]:
        """Return the answer as the contract words it."""
        found: dict[str, Any] = {
            "id": self.id,
            "items": [asdict(item) for item in self.items],
            "model": self.model,
            "timings": {name: round(value, 2) for name, value in asdict(self.timings).items()},
        }
        return found | ({"finish_reason": self.finish_reason} if self.finish_reason else {})

    def frame(self) -> dict[str, Any]:
        """Return one line of a stream: the text so far, from the original cursor on."""
        item = self.items[0] if self.items else Item("", 0.0, self.finish_reason or "stop")
        found: dict[str, Any] = {"id": self.id, "text": item.text, "confidence": item.confidence}
        if self.done:
            found |= {"done": True, "finish_reason": self.finish_reason or item.finish_reason}
            found |= {"model": self.model, "timings": self.body()["timings"]}
        return found


Listener = Callable[[Reply], None]


@dataclass
class _Session:
    """What one loaded engine needs beside itself."""

    engine: Engine
    infill: Infill
    tokenize: Tokenize  # remembers: cells above the cursor seldom change


class Completer:
    """Turns requests into suggestions on the worker's thread."""

    def __init__(self, worker: Worker, settings: Turbopilot) -> None:
        self.worker = worker
        self.settings = settings
        self.counters: dict[str, int] = dict.fromkeys(("requests", "shown", "accepted", "dismissed"), 0)
        self.last_ms: float | None = None
        self._latest: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._session: _Session | None = None

    def submit(self, request: Completion, listener: Listener) -> Job:
        """Begin; `listener` is called on the worker's thread, the last time with `done`."""
        name = uuid4().hex
        state: dict[str, Reply] = {"reply": Reply(id=name)}

        def work(engine: Engine, job: Job) -> None:
            state["reply"] = self._work(name, request, engine, job, listener)

        def done(error: TurbopilotError | None) -> None:
            reply = replace(state["reply"], done=True, error=error)
            if job.cancel.reason and job.cancel.reason != DEADLINE:
                reply = replace(reply, items=(), finish_reason=job.cancel.reason)
            with self._lock:
                if self._latest.get(request.client) is job:
                    del self._latest[request.client]
            if reply.items:
                self.last_ms = reply.timings.total_ms
            listener(reply)

        person = request.trigger in {"automatic", "invoke"}
        job = Job(
            work,
            done,
            priority=_PRIORITIES.get(request.trigger, Priority.PERSON),
            deadline=self.settings.deadline,
        )
        if person and request.client:
            with self._lock:
                older = self._latest.get(request.client)
                self._latest[request.client] = job
            if older:
                older.cancel.set(SUPERSEDED)
        try:
            self.worker.submit(job)
        except TurbopilotError:
            with self._lock:
                if self._latest.get(request.client) is job:
                    del self._latest[request.client]
            raise
        self.counters["requests"] += 1
        return job

    def feedback(self, event: str) -> None:
        """Count what became of a suggestion."""
        self.counters[event] += 1

    def _session_for(self, engine: Engine) -> _Session:
        session = self._session
        if session is None or session.engine is not engine:
            session = _Session(
                engine,
                infill_for(engine.find_token, engine.markers, engine.fim),
                lru_cache(maxsize=PIECES_REMEMBERED)(engine.tokenize),
            )
            self._session = session
        return session

    def _prompt(self, request: Completion, engine: Engine) -> Prompt:
        session = self._session_for(engine)
        context = gather(request)
        # The markers, the beginning and at least one token of answer have to fit as well.
        most = engine.context_size - 8
        suffix = min(self.settings.suffix_tokens, most // 4)
        answer = min(request.max_tokens or self.settings.max_tokens, most // 2)
        prefix = max(1, min(self.settings.prompt_tokens, most - suffix - answer))
        return build(
            session.infill,
            engine.tokenize,
            context=[session.tokenize(piece) for piece in context.pieces],
            prefix=context.prefix,
            suffix=context.suffix,
            budget=Budget(prefix, suffix),
            heal=self._heal(engine),
        )

    def _heal(self, engine: Engine) -> Heal | None:
        mode = self.settings.token_healing
        if mode == "always":
            return heal_token(engine.tokenize, engine.piece)
        return heal_indentation(engine.tokenize) if mode == "indent" else None

    def _work(self, name: str, request: Completion, engine: Engine, job: Job, listener: Listener) -> Reply:
        begun = time.perf_counter()
        prompt = self._prompt(request, engine)
        context_ms = (time.perf_counter() - begun) * 1000
        shape = shape_of(request.prefix, request.suffix, request.lines, self.settings.max_lines)
        items: list[Item] = []
        first = Usage()
        for number in range(request.n):
            usage = Usage() if number else first
            writing = _Writing(request, shape, self.settings.confidence)
            sampling = Sampling(
                max_tokens=self._length(request),
                temperature=max(request.temperature, ALTERNATIVE_TEMPERATURE)
                if number
                else request.temperature,
                seed=number,
                forced=prompt.forced,
            )
            if prompt.tokens:
                for token in engine.generate(prompt.tokens, sampling, usage, job.cancel):
                    grown = writing.add(token.data, token.probability)
                    if grown and request.stream and not job.cancel.is_set():
                        listener(Reply(name, engine.name, (writing.item("streaming"),)))
                    if writing.done:
                        break
            reason = "length"
            if job.cancel.reason == DEADLINE:
                reason = DEADLINE
            elif writing.done or usage.predicted_tokens < sampling.max_tokens:
                reason = "stop"
            writing.finish(whole=reason == "stop")
            item = writing.item(reason)
            if item.text and all(item.text != other.text for other in items):
                items.append(item)
            if job.cancel.is_set():
                break
        waited = (job.started_at - job.queued_at) * 1000
        timings = Timings(
            queue_ms=waited,
            context_ms=context_ms,
            total_ms=waited + (time.perf_counter() - begun) * 1000,
            **asdict(first),
        )
        return Reply(name, engine.name, tuple(items), timings)

    def _length(self, request: Completion) -> int:
        if request.trigger == "warm":
            return 0
        if request.max_tokens:
            return request.max_tokens
        # Somebody who asks for it has the time for more.
        return self.settings.max_tokens * (1 if request.trigger == "automatic" else 4)


class _Writing:
    """The text of one suggestion while its tokens come in; what is shown only ever grows."""

    def __init__(self, request: Completion, shape: Shape, threshold: float) -> None:
        self._shape = shape
        self._automatic = request.trigger in {"automatic", "ahead"}
        self._threshold = threshold if self._automatic else 0.0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._confidence = Confidence()
        self._text = ""
        self.shown = ""
        self.done = False

    def add(self, data: bytes, probability: float) -> bool:
        """Take a token; tell whether there is more to show."""
        self._confidence.add(data, probability)
        self._text += self._decoder.decode(data)
        if self._confidence.hopeless(self._threshold):
            self.done = True
            return False
        cut = trim(self._text, self._shape, final=False)
        self.done = cut.done
        if not self._automatic:
            return self._show(cut.text)
        return self._show(first_lines(cut.text, self._confidence.sure_lines(self._threshold)))

    def finish(self, *, whole: bool) -> None:
        """Show what is left; unasked, only lines that are whole and sure."""
        cut = trim(self._text, self._shape, final=True)
        sure = self._confidence.sure_lines(self._threshold)
        if whole and not self._confidence.hopeless(self._threshold):
            sure += sure == len(self._confidence.lines) - 1
        self._show(first_lines(cut.text, sure) if self._automatic else cut.text)

    def _show(self, text: str) -> bool:
        if len(text) <= len(self.shown) or not text.strip():
            return False
        self.shown = text
        return True

    def item(self, reason: str) -> Item:
        """Return the suggestion as it stands."""
        return Item(self.shown, round(self._confidence.first, 4), reason)
