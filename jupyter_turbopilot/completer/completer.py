"""The one completer: plan, completion cache, index, engine."""

from __future__ import annotations

import logging
import secrets
import time
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import remembering_for
from jupyter_turbopilot.completer.generation import Generation, Shared
from jupyter_turbopilot.completer.importing import WouldWaitError, at_once
from jupyter_turbopilot.completer.owner import apart, session_of
from jupyter_turbopilot.completer.plan import replay
from jupyter_turbopilot.completer.raw_plan import plan_raw
from jupyter_turbopilot.completer.suggestion_plan import Person, SuggestionPlan, plan_suggestion
from jupyter_turbopilot.context.facts import NONE, Facts
from jupyter_turbopilot.engine.job import YIELDED, as_error
from jupyter_turbopilot.engine.lifecycle import not_ready
from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.lookups import lookups
from jupyter_turbopilot.memory.cells import ChosenCells
from jupyter_turbopilot.prompt.layout import LAYOUT
from jupyter_turbopilot.request import Completion

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.cache.results import Results
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.completer.suggestion_plan import Matches
    from jupyter_turbopilot.completer.waiting import Listener
    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.worker import Worker
    from jupyter_turbopilot.generation import RawRequest
    from jupyter_turbopilot.learning.learner import Learner
    from jupyter_turbopilot.memory.reader import Memory
    from jupyter_turbopilot.reply import Reply
    from jupyter_turbopilot.request import Feedback
    from jupyter_turbopilot.study.log import Study

log = logging.getLogger(__name__)

EVENTS = ("shown", "accepted", "dismissed", "typed_over", "retained")
_COUNTED = ("requests", "known", "recalled", "taken_over", "ended", "hidden", *EVENTS)
# Seconds that the index may keep a request from the engine: a key, and the reading of a notebook.
PATIENCE, FOCUS = 0.05, 1.0


class Completer:
    """Turns requests into suggestions.

    `results` are the cached answers. `resting` returns whether nothing may run that no user waits for. Paths
    are relative to the folder `root`. `learner` learns from feedback, and `study` logs it.
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
        self.shared = Shared(settings, results, dict.fromkeys(_COUNTED, 0))
        self.learner = learner
        self.study = study
        self.secret = secrets.token_bytes(32)  # nobody else can tell whose an owner or a session is
        self._resting = resting
        self._root = root
        self._cells = ChosenCells()

    @property
    def results(self) -> Results:
        """The cached answers."""
        return self.shared.results

    @property
    def counters(self) -> dict[str, int]:
        """How often what has happened."""
        return self.shared.counters

    @property
    def last_ms(self) -> float | None:
        """How long the last answer took."""
        return self.shared.last_ms

    def submit(
        self,
        request: Completion | RawRequest,
        listener: Listener,
        facts: Facts = NONE,
        caller: str = "",
        owner: str = "",
        *,
        memory: Memory | None = None,
    ) -> Generation:
        """Begin; `listener` is called, on the worker's threads or at once, the last time with `done`.

        `caller` sent the request, as far as is known: a request never ends another caller's. `owner` is whose
        caches may serve it; empty where one person is served. `memory` is the index of the caller's own code,
        where the caller may read it.
        """
        with remembering_for(owner):
            plan = self._plan(request, facts, owner, memory)
            listeners = [*self._observers(request, plan), listener]
            generation = Generation(plan, caller, listeners, self.shared)
            self.counters["requests"] += 1
            editors = self.shared.editors
            if not plan.priority.awaited and (self._resting() or editors.is_awaited(generation.editor)):
                # The machine is somebody's: nothing is computed that nobody waits for.
                generation.cancel.set(YIELDED)
                generation.finish(None)
            else:
                self._begin(generation)
            return generation

    def _plan(
        self, request: Completion | RawRequest, facts: Facts, owner: str, memory: Memory | None
    ) -> Plan:
        plan: Plan
        if isinstance(request, Completion):
            person = Person(memory)
            if self.learner and not owner:
                person = Person(memory, self.learner.calibration)
            planned = plan_suggestion(request, facts, self.worker.state.model, self.settings, person)
            if planned.memory and not planned.asks_index:
                planned = planned.with_cells(self._cells.of(request))
            plan, session = planned, session_of(self.secret, request.path)
        else:
            plan = plan_raw(request, self.settings)
            owner, session = apart(owner, request.salt), request.session
        # Two people's notebooks at the same path are two sessions.
        return plan.for_owner(owner, apart(session, owner))

    def _observers(self, request: Completion | RawRequest, plan: Plan) -> list[Listener]:
        """Return what takes note of the replies: only where one person is served."""
        observers: list[Listener] = []
        if not plan.place.owner and isinstance(request, Completion):
            if self.learner and plan.terms:
                observers.append(partial(self.learner.observe, plan.terms))
            if self.study and (observe := self.study.follow(request)):
                observers.append(observe)
        return observers

    def _begin(self, generation: Generation) -> None:
        """Ask the index if it may know more, then answer from the cache or put the request in the queue."""
        plan, editors = generation.plan, self.shared.editors
        generation.awaits_index = asks_index = isinstance(plan, SuggestionPlan) and plan.asks_index
        if plan.client and (ended := editors.enter(generation)):
            ended.finish(None)
            if ended is generation:
                return
        if not asks_index:
            try:
                self._queue(generation)
            except TurbopilotError:
                editors.leave(generation)
                raise
            return
        patience = PATIENCE if plan.priority.awaited else FOCUS
        try:
            self.worker.call_at(time.monotonic() + patience, partial(self._time_out, generation))
            is_asked = lookups.submit(partial(self._ask_index, generation))
        except RuntimeError:  # there can be no more threads now
            is_asked = False
        if not is_asked:
            self._continue(generation, None)

    def _ask_index(self, generation: Generation) -> None:
        """Ask the index, on the thread for look-ups."""
        plan, matches = generation.plan, None
        try:
            if (
                isinstance(plan, SuggestionPlan)
                and generation.awaits_index
                and not generation.cancel.is_set()
            ):
                with remembering_for(plan.place.owner):
                    matches = plan.match(self._cells)
        except Exception:
            log.exception("Turbopilot: the index could not be read")
        self._continue(generation, matches)

    def _time_out(self, generation: Generation) -> None:
        """Continue without the index, on the timer's thread; the worker looks into the cache."""
        self._continue(generation, None, replays=False)

    def _continue(self, generation: Generation, matches: Matches | None, *, replays: bool = True) -> None:
        """Continue with what the index says, or without after the time limit: once."""
        if not self.shared.editors.end_look_up(generation):
            return
        plan, state = generation.plan, self.worker.state
        try:
            with remembering_for(plan.place.owner):
                if generation.cancel.is_set():
                    generation.supersede_older()
                    generation.finish(None)
                    return
                if isinstance(plan, SuggestionPlan):
                    cells = matches.cells if matches else self._cells.settle(plan.cursor.request)
                    generation.plan = plan.with_cells(cells)
                if not generation.offer(matches, state.model if state.ready else ""):
                    self._queue(generation, replays=replays)
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            generation.finish(as_error(error))

    def _queue(self, generation: Generation, *, replays: bool = True) -> None:
        """Answer from the cache, or put the request in the worker's queue."""
        try:
            if replays and (known := self._replay(generation)):
                self.counters["known"] += 1
                generation.answer(known)
            else:
                self.worker.submit(generation)
        except TurbopilotError:
            generation.supersede_older()
            raise

    def _replay(self, generation: Generation) -> Reply | None:
        """Answer with what is cached, where that is all that is wanted and nothing has to be waited for."""
        plan = generation.plan
        known = plan.find_cached(self.results)
        if not known or not plan.is_answered_by(known):
            return None
        if not (state := self.worker.state).ready:
            raise not_ready(state)
        with suppress(WouldWaitError), at_once():
            return replay(generation.id, state.model, plan, known)
        return None  # the worker has the time

    def answer_from(self, engine: Engine) -> None:
        """Say whose answers are cached from now on: another model's, or the same otherwise tuned, are not."""
        identity = identity_of(engine, self.settings, self._root)
        self.results.answer_for(identity, lasting=engine.abilities.lasting)

    def feedback(self, feedback: Feedback) -> None:
        """Count what became of a suggestion, learn from it, and log it for a study."""
        self.counters[feedback.event] += 1
        if self.learner:
            self.learner.receive(feedback)
        if self.study:
            self.study.receive(feedback)


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
