"""The one completer: results -> context -> prompt -> engine -> trim -> gate. Nobody goes round it."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from jupyter_turbopilot.completer.compose import Composer
from jupyter_turbopilot.completer.progress import Progress
from jupyter_turbopilot.completer.replay import replay
from jupyter_turbopilot.completer.task import Task
from jupyter_turbopilot.context import facts as kernel
from jupyter_turbopilot.context.notebook import cell_language, gather, text_before
from jupyter_turbopilot.engine.job import DEADLINE, SUPERSEDED, YIELDED, Job, Work
from jupyter_turbopilot.engine.phase import not_ready
from jupyter_turbopilot.engine.queue import Priority
from jupyter_turbopilot.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.generation import Sampling
from jupyter_turbopilot.prompt.formats import build_infill, build_text
from jupyter_turbopilot.prompt.infill import taken_apart
from jupyter_turbopilot.prompt.layout import Layout
from jupyter_turbopilot.reply import Reply
from jupyter_turbopilot.request import Completion
from jupyter_turbopilot.suggestion.cache import TAIL, Place, Results
from jupyter_turbopilot.suggestion.coefficients import THRESHOLDS
from jupyter_turbopilot.suggestion.gate import Gate, place_of
from jupyter_turbopilot.suggestion.names import fits_at, names_at, scope_of
from jupyter_turbopilot.suggestion.trim import shape_of
from jupyter_turbopilot.suggestion.writing import Suggestion, Verbatim

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.completer.waiting import Listener
    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.worker import Worker
    from jupyter_turbopilot.prompt.formats import Prompt
    from jupyter_turbopilot.raw_request import RawRequest

MOST_TYPED = 512  # tokens: nobody waits for a longer answer at a cursor
ENDLESS = 1 << 16  # tokens of an answer that nobody has set a limit to: no context is longer
_PRIORITIES = {"warm": Priority.WARM, "ahead": Priority.AHEAD}


class _Latest(NamedTuple):
    """What an editor asked for last, until it has ended."""

    job: Job
    document: str


class Completer:
    """Turns requests into suggestions on the worker's thread."""

    def __init__(self, worker: Worker, settings: Turbopilot) -> None:
        self.worker = worker
        self.settings = settings
        self.resting: Callable[[], bool] = lambda: False  # whether nothing may run that nobody waits for
        self.counters: dict[str, int] = dict.fromkeys(
            ("requests", "known", "taken_over", "ended", "shown", "accepted", "dismissed", "hidden"), 0
        )
        self.last_ms: float | None = None
        self._results = Results(settings.results_memory * 1024 * 1024)
        self._latest: dict[tuple[str, str], _Latest] = {}  # by who asks, and from which of their editors
        self._lock = threading.Lock()
        self._layout: Layout | None = None

    def submit(
        self,
        request: Completion | RawRequest,
        listener: Listener,
        facts: kernel.Facts = kernel.NONE,
        owner: str = "",
    ) -> Job:
        """Begin; `listener` is called, on the worker's threads or at once, the last time with `done`.

        `owner` is who asks, as far as the caller knows: what one asks for never ends what another asked for.
        """
        task = self._suggestion(request, facts) if isinstance(request, Completion) else self._text(request)
        name = uuid4().hex
        state: dict[str, Reply] = {"reply": Reply(id=name)}
        editor = owner, task.client

        def work(engine: Engine, job: Job) -> Work:
            composer = Composer(name, task, engine, job, listener, self._results)
            try:
                state["reply"] = yield from composer.write()
            finally:
                self.counters["taken_over"] += composer.taken_over
                self.counters["ended"] += composer.ended

        def done(error: TurbopilotError | None) -> None:
            reply = replace(state["reply"], done=True, error=error)
            if job.cancel.reason and (job.cancel.reason != DEADLINE or not reply.items):
                reply = replace(reply, items=(), finish_reason=job.cancel.reason)
            self._forget(editor, job)
            self._note(reply, gated=task.gated and not job.cancel.is_set())
            listener(reply)

        job = Job(work, done, priority=task.priority, deadline=task.deadline, owner=owner)
        job.progress = Progress()
        self.counters["requests"] += 1
        if not task.priority.awaited and (self.resting() or self._is_awaited(editor)):
            # The machine is somebody's: nothing is computed that nobody waits for.
            job.cancel.set(YIELDED)
            done(None)
            return job
        older = self._follow(editor, task, job)
        known = self._results.find(task.place) if task.sampling.plain else None
        if known and task.is_answered_by(known):
            if older:
                older.cancel.set(SUPERSEDED)
            if not (worker_state := self.worker.state).ready:
                self._forget(editor, job)
                raise not_ready(worker_state)
            self.counters["known"] += 1
            state["reply"] = replay(name, worker_state.model, task, known)
            done(None)
        else:
            try:
                self.worker.submit(job, older)
            except TurbopilotError:
                self._forget(editor, job)
                raise
        return job

    def _note(self, reply: Reply, *, gated: bool) -> None:
        """Remember how long it took, or that nothing was worth showing."""
        if reply.items:
            self.last_ms = reply.timings.total_ms
        elif gated and not reply.error:
            self.counters["hidden"] += 1

    def _is_awaited(self, editor: tuple[str, str]) -> bool:
        """Tell whether somebody waits for what the editor asked last."""
        with self._lock:
            latest = self._latest.get(editor)
        return latest is not None and latest.job.priority.awaited

    def _follow(self, editor: tuple[str, str], task: Task, job: Job) -> Job | None:
        """Return the job of the same editor whose place this one takes; elsewhere than there it is ended."""
        if not task.client:
            return None
        with self._lock:
            latest = self._latest.get(editor)
            self._latest[editor] = _Latest(job, task.document)
        if latest and latest.document != task.document:
            latest.job.cancel.set(SUPERSEDED)
        return latest.job if latest and latest.document == task.document else None

    def _forget(self, editor: tuple[str, str], job: Job) -> None:
        with self._lock:
            if (latest := self._latest.get(editor)) and latest.job is job:
                del self._latest[editor]

    def forget(self) -> None:
        """Forget what was answered: another model, or the same otherwise tuned, answers from now on."""
        self._results = Results(self.settings.results_memory * 1024 * 1024)

    def feedback(self, event: str) -> None:
        """Count what became of a suggestion."""
        self.counters[event] += 1

    def _layout_for(self, engine: Engine) -> Layout:
        if self._layout is None or not self._layout.is_for(engine):
            self._layout = Layout(engine, self.settings)
        return self._layout

    def _suggestion(self, request: Completion, facts: kernel.Facts) -> Task:
        """Say what a suggestion needs."""
        shape = shape_of(request.prefix, request.suffix, request.lines, self.settings.max_lines)
        unasked = request.trigger in {"automatic", "ahead"}
        threshold = THRESHOLDS[request.eagerness or self.settings.eagerness] if unasked else 0.0
        length = 0 if request.trigger == "warm" else self._length(request)
        asked_for = (request.lines, request.language, request.path, self.settings.token_healing)
        before, after = text_before(request)
        context = cache(lambda: gather(request, facts))
        scope = cache(lambda: scope_of(request, facts))

        def writing() -> Suggestion:
            place = place_of(request.prefix, request.suffix, context().pieces)
            return Suggestion(shape, Gate(place, threshold, fits_at(request, scope())), unasked=unasked)

        return Task(
            prompt=lambda engine: self._layout_for(engine).prompt(request, context()),
            writing=writing,
            names=lambda: names_at(request, scope()),
            place=Place(
                (self.worker.state.model, asked_for, facts.number, after),
                before,
                (length, unasked, threshold),
            ),
            sampling=Sampling(length, request.temperature),
            deadline=self.settings.deadline,
            n=request.n,
            stream=request.stream,
            client=request.client,
            document=f"{request.path}\n{request.cells[request.active].id or request.active}",
            language=cell_language(request.cells[request.active].source, request.language),
            gated=request.trigger == "automatic",
            moves=self.settings.move_suffix,
            priority=_PRIORITIES.get(request.trigger, Priority.TYPING),
        )

    def _text(self, request: RawRequest) -> Task:
        """Say what another protocol's text needs: its own prompt, no gate."""
        if (
            isinstance(request.prompt, str)
            and request.suffix is None
            and (hole := taken_apart(request.prompt))
        ):
            request = replace(request, prompt=hole.before, suffix=hole.after, context=hole.context)
        sampling = request.sampling
        asked = request
        if sampling.max_tokens < 0:
            # To the model's own end or the context's; the prompt leaves some room for it.
            asked = replace(request, sampling=replace(sampling, max_tokens=self.settings.max_tokens))
            sampling = replace(sampling, max_tokens=ENDLESS)

        def prompt(engine: Engine) -> Prompt:
            layout, size = self._layout_for(engine), engine.context_size
            # What changes with each key is not worth remembering.
            if request.window:
                return build_infill(
                    layout.form, layout.tokenize, engine.tokenize, request, size, asked.sampling.max_tokens
                )
            if isinstance(request.prompt, tuple):
                _check_ids(engine, request.prompt)
            return build_text(layout.form, engine.tokenize, asked, size)

        several = max(request.n, request.best_of)
        return Task(
            prompt=prompt,
            writing=lambda: Verbatim(request.stop, request.indent),
            place=Place(
                (self.worker.state.model, "text", request.window, request.suffix),
                request.prompt + request.typed
                if isinstance(request.prompt, str)
                else str(request.prompt[-TAIL:]),
            ),
            sampling=sampling,
            n=several,
            best=request.n,
            stream=request.stream,
            deadline=self.settings.text_deadline,
            prompt_seconds=request.prompt_seconds,
            seconds=request.seconds,
            answers=False,
            priority=_priority(request),
        )

    def _length(self, request: Completion) -> int:
        if request.max_tokens:
            return request.max_tokens
        # Somebody who asks for it has the time for more.
        return self.settings.max_tokens * (4 if request.trigger == "invoke" else 1)


def _priority(request: RawRequest) -> Priority:
    """Say how urgent a text is: whoever asks for a single one of some length may be typing."""
    if request.ahead:
        return Priority.WARM
    several = request.bulk or max(request.n, request.best_of) > 1
    long = not 0 <= request.sampling.max_tokens <= MOST_TYPED
    return Priority.BULK if several or long else Priority.TEXT


def _check_ids(engine: Engine, prompt: tuple[int | str, ...]) -> None:
    """Refuse what is no token: in a batch it would fail everybody."""
    try:
        for token in prompt:
            if isinstance(token, int):
                engine.piece(token)
    except IndexError:
        raise BadRequestError(f"There is no token {token}.", field="prompt") from None
