"""The completer submits requests to the notebook index, the completion cache and the engine."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, get_args

from jupyter_turbopilot.completer.completion_job import CompletionJob
from jupyter_turbopilot.completer.import_sources import WouldWaitError, cached_only
from jupyter_turbopilot.completer.listeners import Listeners
from jupyter_turbopilot.completer.plan import Matches
from jupyter_turbopilot.completer.raw_plan import plan_raw
from jupyter_turbopilot.completer.shared import Shared
from jupyter_turbopilot.completer.suggestion_plan import plan_suggestion
from jupyter_turbopilot.completer.text_generator import replay
from jupyter_turbopilot.completer.text_starts import MIN_FIRST
from jupyter_turbopilot.context.kernel_context import NONE, KernelContext
from jupyter_turbopilot.engine.job import YIELDED, as_error
from jupyter_turbopilot.engine.lifecycle import not_ready
from jupyter_turbopilot.engine.load_shedding import OVERLOADED, Level
from jupyter_turbopilot.prompt.layout import LAYOUT
from jupyter_turbopilot.protocol.errors import BusyError, TurbopilotError, log_failure
from jupyter_turbopilot.protocol.request import Completion, Outcome
from jupyter_turbopilot.util.bounds import tenant_cache
from jupyter_turbopilot.util.lookups import lookups
from jupyter_turbopilot.util.threads import Alarm

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.completer.cache.completion_cache import CachedCompletion, CompletionCache
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.engine.base import Engine, Speed
    from jupyter_turbopilot.engine.worker import Worker
    from jupyter_turbopilot.index.reader import NotebookIndex
    from jupyter_turbopilot.protocol.engine_request import RawRequest
    from jupyter_turbopilot.protocol.request import Feedback
    from jupyter_turbopilot.settings.config import Turbopilot

log = logging.getLogger(__name__)

EVENTS = get_args(Outcome)
_COUNTED = ("requests", "cache_hits", "index_matches", "continued", "ended", "hidden", *EVENTS)
INDEX_TIMEOUT = 0.05  # seconds that a request waits for the index
REFUSED_SECONDS = 5.0  # until the busiest users may send automatic requests again
# Seconds for evaluating the first prompt of a notebook. If the whole prompt takes less, waiting for it pays:
# with few cells, the gate often shows nothing (research/benchmarks/results/first-minutes.md).
FIRST_SECONDS = 5.0


class Completer:
    """Turns requests into suggestions.

    `results` is the completion cache. `resting` returns whether prefetching is paused. Paths are relative to
    the folder `root`.
    """

    def __init__(
        self,
        worker: Worker,
        settings: Turbopilot,
        results: CompletionCache,
        resting: Callable[[], bool] = lambda: False,
        root: str = "",
        listeners: Listeners | None = None,
    ) -> None:
        self.worker = worker
        self.settings = settings
        self.counters = dict.fromkeys(_COUNTED, 0)  # of requests and events
        self.shared = Shared(settings, results, self.counters, self.first_prompt_tokens, self._evaluate_whole)
        self.listeners = listeners or Listeners()
        self._resting = resting
        self._root = root

    @property
    def results(self) -> CompletionCache:
        return self.shared.results

    def submit(
        self,
        request: Completion | RawRequest,
        listener: Listener,
        kernel_context: KernelContext = NONE,
        caller: str = "",
        tenant: str = "",
        *,
        notebook_index: NotebookIndex | None = None,
        level: Level = Level.NONE,
    ) -> CompletionJob:
        """Submit a request. `listener` is called with each reply; the last one has `Reply.done` set.

        The listener is called on the worker's threads, or before this method returns. `caller` identifies the
        client: a request never ends a request of another caller. `tenant` is the one whose caches may serve
        the request; it is empty on a single-user server. `notebook_index` is None if the caller may not read
        it. `level` is the level of load shedding (`Worker.level`).
        """
        with tenant_cache(tenant):
            plan: Plan
            observers = []
            if isinstance(request, Completion):
                model = self.worker.state.model
                plan = plan_suggestion(
                    request, kernel_context, model, self.settings, notebook_index, level, tenant
                )
                if not tenant:  # a single-user server
                    observers = self.listeners.requested(request, plan)
            else:
                plan = plan_raw(request, self.settings, tenant)
            job = CompletionJob(plan, caller, [*observers, listener], self.shared)
            self.counters["requests"] += 1
            if not plan.priority.awaited and (
                self._resting() or level or self.shared.editors.is_awaited(job.editor)
            ):
                # Skip prefetching while the CPU or the server is busy or the user waits for another request.
                job.cancel.set(YIELDED)
                job.finish(None)
            else:
                job.needs_cached_answer = plan.automatic and level is Level.REFUSE_BUSIEST
                self._begin(job)
            return job

    def first_prompt_tokens(self, speed: Speed) -> int:
        """Return how many tokens the first prompt of a notebook may have on a slow machine; otherwise 0.

        A power of two seldom changes: another length would change the beginning of the prompt. A service for
        several users reduces its work by its load instead.
        """
        tokens = max(MIN_FIRST, (1 << int(speed.prompt * FIRST_SECONDS).bit_length()) // 2)
        is_slow = speed.prompt > 0 and tokens < self.settings.prompt_tokens and not self.worker.sheds_load
        return tokens if is_slow else 0

    def _evaluate_whole(self, plan: Plan, caller: str) -> None:
        """Evaluate the whole prompt of a request in the next pauses, instead of that of an older one."""
        if self._resting() or not plan.client:
            return
        whole = CompletionJob(plan.for_whole_prompt(), caller, [], self.shared)
        self.shared.editors.enter(whole, whole.plan)
        try:
            self.worker.submit(whole)
        except TurbopilotError:  # the next request tries again
            self.shared.editors.remove_ended(whole)

    def _begin(self, job: CompletionJob) -> None:
        """Queue the request, or let the look-up thread query the index and answer from the cache."""
        plan, editors = job.plan, self.shared.editors
        cached = None
        if not plan.asks_index:
            cached = job.find_cached()
        job.awaits_look_up = looks_up = plan.asks_index or (cached is not None and cached.complete)
        if plan.client and (ended := editors.enter(job, plan)):
            ended.finish(None)
            if ended is job:
                return
        if not looks_up:
            try:
                self._queue(job, cached)
            except TurbopilotError:
                job.supersede_older()
                editors.remove_ended(job)
                raise
            return
        Alarm(partial(self._proceed, job)).set(time.monotonic() + INDEX_TIMEOUT)
        if not lookups.submit(partial(self._look_up, job)):
            self._proceed(job)

    def _look_up(self, job: CompletionJob) -> None:
        """Query the index on the look-up thread."""
        plan, matches = job.plan, None
        try:
            if plan.asks_index and job.awaits_look_up and not job.cancel.is_set():
                with tenant_cache(plan.cache_key.tenant):
                    matches = plan.match()
            else:
                matches = Matches()
        except Exception as failure:  # noqa: BLE001 - the suggestion does not need the index
            log_failure(log, "Turbopilot: The notebook index could not be read", failure)
        self._proceed(job, matches)

    def _proceed(self, job: CompletionJob, matches: Matches | None = None) -> None:
        """Answer from the index or the cache, or queue the request. Later calls return.

        Without `matches`, the look-up takes too long, and this thread must not wait for it.
        """
        if not self.shared.editors.end_look_up(job):
            return
        plan, state = job.plan, self.worker.state
        try:
            with tenant_cache(plan.cache_key.tenant):
                if job.cancel.is_set():
                    job.supersede_older()
                    job.finish(None)
                    return
                found = matches or Matches(settled=False)
                if plan.asks_index and job.take_matches(found, state.model if state.ready else ""):
                    return
                cached = job.find_cached()
                if not (matches and cached and self._answer_from_cache(job, cached)):
                    self._queue(job, cached)
        except Exception as error:  # noqa: BLE001 - the client waits for a reply
            job.supersede_older()
            job.finish(as_error(error))

    def _answer_from_cache(self, job: CompletionJob, cached: CachedCompletion) -> bool:
        """Answer from the cache; return False if it is no whole answer, or if trimming it has to wait."""
        if not cached.complete:
            return False
        if not (state := self.worker.state).ready:
            raise not_ready(state)
        with suppress(WouldWaitError), cached_only():
            if reply := replay(job.id, state.model, job.plan, cached):
                self.counters["cache_hits"] += 1
                job.answer(reply)
                return True
        return False

    def _queue(self, job: CompletionJob, cached: CachedCompletion | None) -> None:
        """Put the request in the worker's queue, or refuse it because of the load."""
        if job.needs_cached_answer and not (cached and cached.complete):
            raise BusyError(
                "The server is busy, and you are one of its most active users. Automatic suggestions "
                "continue in a few seconds.",
                code=OVERLOADED,
                after=REFUSED_SECONDS,
            )
        self.worker.submit(job)

    def use_cache_of(self, engine: Engine) -> None:
        """Use the cached completions of this engine; those of other models and settings are not found."""
        identity = cache_identity(engine, self.settings, self._root)
        self.results.set_identity(identity, persistent=engine.capabilities.persistent)

    def feedback(self, feedback: Feedback) -> None:
        """Count the outcome of a suggestion, and notify the listeners."""
        self.counters[feedback.event] += 1
        self.listeners.receive(feedback)


def cache_identity(engine: Engine, settings: Turbopilot, root: str = "") -> str:
    """Return a string that changes when the same request could get another answer."""
    prompt = (LAYOUT, engine.context_size, settings.prompt_tokens)
    used = (settings.engine, settings.engine_section.identity)
    source = (version("jupyter-turbopilot"), engine.identity, engine.name, root)
    return repr((source, prompt, used))
