"""The one completer: results -> context -> prompt -> engine -> trim -> gate."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import remembering_for
from jupyter_turbopilot.completer import recalling
from jupyter_turbopilot.completer.answering import Answering, LatestJobs
from jupyter_turbopilot.completer.importing import WouldWaitError, at_once
from jupyter_turbopilot.completer.owner import apart, session_of
from jupyter_turbopilot.completer.raw_task import raw_task
from jupyter_turbopilot.completer.suggestion_task import Person, suggestion_task
from jupyter_turbopilot.completer.task import replay
from jupyter_turbopilot.context.facts import NONE, Facts
from jupyter_turbopilot.engine.job import SUPERSEDED, YIELDED, as_error
from jupyter_turbopilot.engine.lifecycle import not_ready
from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.memory.cells import ChosenCells
from jupyter_turbopilot.prompt.layout import LAYOUT, Layout
from jupyter_turbopilot.request import Completion

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.completer.learner import Learner
    from jupyter_turbopilot.completer.outcomes import Terms
    from jupyter_turbopilot.completer.task import Recollection, Task
    from jupyter_turbopilot.completer.waiting import Listener
    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.engine.worker import Worker
    from jupyter_turbopilot.generation import RawRequest
    from jupyter_turbopilot.memory.reader import Memory
    from jupyter_turbopilot.reply import Reply
    from jupyter_turbopilot.request import Feedback
    from jupyter_turbopilot.study.log import Study
    from jupyter_turbopilot.suggestion.cache import Results

EVENTS = ("shown", "accepted", "dismissed", "typed_over", "retained")
_COUNTED = ("requests", "known", "recalled", "taken_over", "ended", "hidden", *EVENTS)


class Completer:
    """Turns requests into suggestions on the worker's thread.

    `results` are the answers that are known already; `resting` tells whether nothing may run that nobody
    waits for; `root` is the folder that paths are relative to; `learner`, if there is one, learns from
    feedback, and `study` logs it.
    """

    def __init__(
        self,
        worker: Worker,
        settings: Turbopilot,
        results: Results,
        resting: Callable[[], bool] = lambda: False,
        root: str = "",
        learner: Learner | None = None,
        study: Study | None = None,
    ) -> None:
        self.worker = worker
        self.settings = settings
        self.results = results
        self.counters = dict.fromkeys(_COUNTED, 0)
        self.last_ms: float | None = None
        self.latest = LatestJobs()
        self.learner = learner
        self.study = study
        self.secret = secrets.token_bytes(32)  # nobody else can tell whose an owner or a session is
        self._resting = resting
        self._root = root
        self._layout: Layout | None = None
        self._recalling = recalling.Recalling()
        self._cells = ChosenCells()

    def submit(
        self,
        request: Completion | RawRequest,
        listener: Listener,
        facts: Facts = NONE,
        caller: str = "",
        owner: str = "",
        *,
        memory: Memory | None = None,
    ) -> Job:
        """Begin; `listener` is called, on the worker's threads or at once, the last time with `done`.

        `caller` is who asks, as far as is known: what one asks for never ends what another asked for.
        `owner` is whose caches may serve it; empty where one person is served. `memory` is what is remembered
        of the caller's own code, where the caller may read it.
        """
        if self.study and not owner and isinstance(request, Completion):
            listener = self.study.follow(request, listener)
        with remembering_for(owner):
            return self._submit(self._task(request, facts, owner, memory), listener, caller)

    def _submit(self, task: Task, listener: Listener, caller: str) -> Job:
        if self.learner and task.terms and not task.place.owner:
            listener = _noted_by(self.learner, task.terms, listener)
        answering = Answering(task, caller, listener, self.results, self.counters, self._ended)
        self.counters["requests"] += 1
        if not task.priority.awaited and (self._resting() or self.latest.is_awaited(answering.editor)):
            # The machine is somebody's: nothing is computed that nobody waits for.
            answering.job.cancel.set(YIELDED)
            answering.end()
        else:
            self._begin(answering)
        return answering.job

    def _task(
        self, request: Completion | RawRequest, facts: Facts, owner: str = "", memory: Memory | None = None
    ) -> Task:
        if isinstance(request, Completion):
            model = self.worker.state.model
            person = Person(memory, self._cells)
            if self.learner and not owner:
                person = replace(person, calibration=self.learner.calibration)
            task = suggestion_task(request, facts, model, self.settings, self._layout_for, person)
            session = session_of(self.secret, request.path)
        else:
            task = raw_task(request, self.settings, self._layout_for)
            owner, session = apart(owner, request.salt), request.session
        # Two people's notebooks at the same path are two sessions.
        return replace(task, place=replace(task.place, owner=owner), session=apart(session, owner))

    def _begin(self, answering: Answering) -> None:
        """Answer with what is known, or put the job in the worker's queue in place of the editor's last."""
        job, editor, task = answering.job, answering.editor, answering.task
        older = self.latest.follow(editor, task.document, job) if task.client else None
        while older:
            waited, before = self._recalling.withdraw(older)
            if not waited:
                break
            older.cancel.set(SUPERSEDED)
            older.tell(None)
            older = before
        try:
            if task.recall:
                patience = recalling.PATIENCE if task.priority.awaited else recalling.FOCUS
                then = partial(self._recalled, answering)
                look = partial(self._look, answering.name, task, task.recall)
                self._recalling.first(job, older, look, then, patience)
            else:
                self._go_on(answering, older)
        except TurbopilotError:
            self.latest.forget(editor, job)
            raise

    def _go_on(self, answering: Answering, older: Job | None, known: Reply | None = None) -> None:
        """Answer with what is known, or leave it to the worker."""
        try:
            known = known or self._replay(answering.name, answering.task)
        except TurbopilotError:
            _supersede(older)
            raise
        if not known:
            self.worker.submit(answering.job, older)
            return
        _supersede(older)
        self.counters["known"] += 1
        answering.answer(known)

    def _look(self, name: str, task: Task, recall: Callable[[], Recollection]) -> Recollection:
        """Ask memory, and judge what is known; what that works out is remembered for an owner alone."""
        with remembering_for(task.place.owner):
            recollection = recall()
            line = recollection.line
            if line and line.sure and line.whole:
                return recollection  # that is the answer
            with suppress(TurbopilotError):
                known = self._replay(name, task.joined(task, recollection))
                recollection = replace(recollection, known=known)
            return recollection

    def _recalled(self, answering: Answering, found: Recollection | None, older: Job | None) -> None:
        """Go on with what memory says: that is the answer, or there is more to ask."""
        job, state = answering.job, self.worker.state
        if job.cancel.is_set():
            _supersede(older)
            job.tell(None)
            return
        try:
            with remembering_for(answering.task.place.owner):
                if answering.recall(found, state.model if state.ready else ""):
                    _supersede(older)
                else:
                    self._go_on(answering, older, found.known if found else None)
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            job.tell(as_error(error))

    def _replay(self, name: str, task: Task) -> Reply | None:
        """Answer with what is known, where that is all that is wanted and nothing has to be waited for."""
        known = task.look_up(self.results)
        if not known or not task.is_answered_by(known):
            return None
        if not (state := self.worker.state).ready:
            raise not_ready(state)
        with suppress(WouldWaitError), at_once():
            return replay(name, state.model, task, known)
        return None  # the worker has the time

    def _ended(self, answering: Answering, reply: Reply) -> None:
        """Remember how long it took, or that nothing was worth showing."""
        self.latest.forget(answering.editor, answering.job)
        if reply.items:
            self.last_ms = reply.timings.total_ms
        elif answering.task.gated and not answering.job.cancel.is_set() and not reply.error:
            self.counters["hidden"] += 1

    def answer_from(self, engine: Engine) -> None:
        """Say whose answers are known from now on: another model's, or the same otherwise tuned, are not."""
        identity = identity_of(engine, self.settings, self._root)
        self.results.answer_for(identity, lasting=engine.abilities.lasting)

    def feedback(self, feedback: Feedback) -> None:
        """Count what became of a suggestion, learn from it, and log it for a study."""
        self.counters[feedback.event] += 1
        if self.learner:
            self.learner.receive(feedback)
        if self.study:
            self.study.receive(feedback)

    def _layout_for(self, engine: Engine) -> Layout:
        if self._layout is None or not self._layout.is_for(engine):
            self._layout = Layout(engine, self.settings)
        return self._layout


def _noted_by(learner: Learner, terms: Terms, listener: Listener) -> Listener:
    """Have a learner remember what a listener is sent."""

    def listen(reply: Reply) -> None:
        if reply.items:
            item = reply.items[0]
            judged = replace(terms, promised=None) if item.recalled else terms
            learner.sent(reply.id, judged, len(item.text), item.confidence)
        listener(reply)

    return listen


def _supersede(older: Job | None) -> None:
    if older:
        older.cancel.set(SUPERSEDED)


def identity_of(engine: Engine, settings: Turbopilot, root: str = "") -> str:
    """Return what answers depend on beside the request and what eagerness it asks for."""
    remote = settings.remote
    prompt = (LAYOUT, engine.context_size, settings.prompt_tokens, settings.suffix_tokens)
    ends = (settings.token_healing, settings.move_suffix, settings.max_lines)
    sent = (settings.engine, remote.send_documents, remote.send_kernel_facts)
    asked = (*map(_without_secrets, remote.urls), remote.model, remote.vocabulary, remote.fim)
    about = (version("jupyter-turbopilot"), engine.identity, engine.name, root)
    return repr((about, prompt, ends, sent, asked))


def _without_secrets(url: str) -> str:
    return url.partition("?")[0].rpartition("@")[2]
