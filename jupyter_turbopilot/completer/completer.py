"""The completer submits requests to the notebook index, the completion cache and the engine."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, get_args

from jupyter_turbopilot.completer.completion_job import CompletionJob
from jupyter_turbopilot.completer.listeners import Listeners
from jupyter_turbopilot.completer.plan import LOCAL
from jupyter_turbopilot.completer.raw_plan import plan_raw
from jupyter_turbopilot.completer.shared import Shared
from jupyter_turbopilot.completer.suggestion_plan import plan_suggestion
from jupyter_turbopilot.completer.text_generation import MIN_FIRST, TextGeneration, replay
from jupyter_turbopilot.engine.job import YIELDED
from jupyter_turbopilot.engine.load_shedding import OVERLOADED, Level
from jupyter_turbopilot.prompt.layout import LAYOUT
from jupyter_turbopilot.protocol.errors import BusyError, TurbopilotError, log_failure
from jupyter_turbopilot.protocol.reply import Reply
from jupyter_turbopilot.protocol.request import Completion, Outcome
from jupyter_turbopilot.util.bounds import tenant_cache
from jupyter_turbopilot.util.lookups import lookups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.completer.cache.completion_cache import CompletionCache
    from jupyter_turbopilot.completer.plan import Admission, Plan
    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.engine.base import Engine, Speed
    from jupyter_turbopilot.engine.worker import Worker
    from jupyter_turbopilot.protocol.engine_request import RawRequest
    from jupyter_turbopilot.protocol.request import Feedback
    from jupyter_turbopilot.settings.config import Turbopilot

log = logging.getLogger(__name__)

EVENTS = get_args(Outcome)
_COUNTED = ("requests", "cache_hits", "index_matches", "read", "continued", "ended", "hidden", *EVENTS)
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
        self, request: Completion | RawRequest, listener: Listener, admission: Admission = LOCAL
    ) -> CompletionJob:
        """Submit a request. `listener` is called with each reply; the last one has `Reply.done` set.

        The listener is called on the worker's threads, or before this method returns.
        """
        with tenant_cache(admission.tenant):
            plan: Plan
            observers = []
            if isinstance(request, Completion):
                plan = plan_suggestion(request, self.worker.state.model, self.settings, admission)
                if not admission.tenant:  # a single-user server
                    observers = self.listeners.requested(request, plan)
            else:
                plan = plan_raw(request, self.settings, admission.tenant)
            job = CompletionJob(plan, admission.caller, [*observers, listener], self.shared)
            self.counters["requests"] += 1
            if not plan.priority.awaited and (
                self._resting() or admission.level or self.worker.is_awaited(job)
            ):
                # Skip prefetching while the CPU or the server is busy or the user waits for another request.
                job.cancel.set(YIELDED)
                job.finish(None)
            else:
                self._begin(job, admission.level)
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
        with suppress(TurbopilotError):  # the next request tries again
            self.worker.submit(TextGeneration(whole, self.shared))

    def _begin(self, job: CompletionJob, level: Level) -> None:
        """Queue the request. The look-up thread may answer it before, from the index or the cache."""
        plan = job.plan
        if plan.known is not None:
            hidden_reason = "" if plan.known else "unsure"
            model = self.worker.state.model
            job.answer(Reply(job.id, model, plan.known, hidden_reason=hidden_reason, uncached=True), "read")
            with suppress(TurbopilotError):  # it supersedes the request before
                self.worker.submit(TextGeneration(job, self.shared))
            return
        refuses = plan.automatic and level is Level.REFUSE_BUSIEST
        # Reading the cache takes less time than queuing, and much less than the look-up.
        cached = job.find_cached() if refuses or not plan.asks_index else None
        is_cached = cached is not None and cached.complete
        looks_up = plan.asks_index or is_cached
        if plan.asks_index:
            job.begin_look_up()
        try:
            refusal = _refusal() if refuses and not is_cached else None
            self.worker.submit(TextGeneration(job, self.shared), refusal)
        except BusyError as error:
            if not looks_up:
                raise
            job.begin_look_up()
            job.finish(error)  # unless the look-up finds an answer
        if looks_up and not lookups.submit(partial(self._look_up, job)):
            job.end_look_up()

    def _look_up(self, job: CompletionJob) -> None:
        """Query the index on the look-up thread; answer from the cache if the worker has not begun."""
        plan, state = job.plan, self.worker.state
        try:
            with tenant_cache(plan.cache_key.tenant):
                if not state.ready or job.cancel.is_set() or job.take_matches(plan.match(), state.model):
                    return
                self._answer_from_cache(job, state.model)
        except Exception as failure:  # noqa: BLE001 - the suggestion does not need the index
            log_failure(log, "Turbopilot: The notebook index could not be read", failure)
        finally:
            job.end_look_up()

    def _answer_from_cache(self, job: CompletionJob, model: str) -> None:
        if job.started_at or not (cached := job.find_cached()) or not cached.complete:
            return
        reply = replay(job.id, model, job.plan, cached, waits=False)
        if reply and not reply.uncached:
            job.answer(reply, "cache_hits")

    def use_cache_of(self, engine: Engine) -> None:
        """Use the cached completions of this engine; those of other models and settings are not found."""
        identity = cache_identity(engine, self.settings, self._root)
        self.results.set_identity(identity, persistent=engine.capabilities.persistent)

    def use_successor(self, engine: Engine, evaluated: Sequence[int]) -> None:
        """Prepare for another engine of the same model, which has evaluated the latest prompt."""
        self.shared.layout_for(engine).note_evaluated([*evaluated])
        self.use_cache_of(engine)  # last: after an error, the engine before stays in use

    def feedback(self, feedback: Feedback) -> None:
        """Count the outcome of a suggestion, and notify the listeners."""
        self.counters[feedback.event] += 1
        self.listeners.receive(feedback)


def _refusal() -> BusyError:
    return BusyError(
        "The server is busy, and you are one of its most active users. Automatic suggestions "
        "continue in a few seconds.",
        code=OVERLOADED,
        after=REFUSED_SECONDS,
    )


def cache_identity(engine: Engine, settings: Turbopilot, root: str = "") -> str:
    """Return a string that changes when the same request could get another answer."""
    prompt = (LAYOUT, engine.context_size, settings.prompt_tokens)
    used = (settings.engine, settings.engine_section.identity)
    source = (version("jupyter-turbopilot"), engine.identity, engine.name, root)
    return repr((source, prompt, used))
