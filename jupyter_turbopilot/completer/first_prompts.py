"""The first prompts of notebooks on a slow machine: short at first, whole after a pause.

The nearest cells are last in a prompt, so a longer prompt begins differently: none of the keys and values of
the short prompt can be used for it (docs/developers/architecture.md). The whole prompt is therefore evaluated
from its beginning, in pauses. An interrupted evaluation continues in the next pause.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.base import speed_of
from jupyter_turbopilot.engine.job import DEADLINE, YIELDED
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.util.bounds import common_prefix_length
from jupyter_turbopilot.util.limited_dict import LimitedDict
from jupyter_turbopilot.util.threads import Alarm

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.completer.completion_job import CompletionJob
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.engine.base import Engine, Speed
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.worker import Worker
    from jupyter_turbopilot.prompt.formats import Prompt
    from jupyter_turbopilot.settings.config import Turbopilot

FIRST_SECONDS = 3.0  # of evaluation for a short prompt
# A prompt is short if the evaluation of the whole takes more than so many seconds, and more than half of the
# time limit of a request. Below that, waiting for the whole prompt pays:
# with few cells, the gate often shows nothing (benchmarks/results/first-minutes.md).
SLOW_SECONDS = 5.0
PAUSE = 0.5  # seconds without a request after which the whole prompt is evaluated
MIN_TOKENS = 64  # of a short prompt
MAX_NOTEBOOKS = 64
MAX_KEPT = 4  # prompts of a notebook: the user may return to another cell


@dataclass
class _Notebook:
    """The state of one notebook, or of another document."""

    short: int = 0  # the length of its prompts, kept while it is short; 0: they are whole
    evaluated: list[list[int]] = field(default_factory=list)  # whole prompts, the newest last
    latest: str = ""  # the id of its last request: finished ones would keep their texts
    full_evaluation: Cancel | None = None  # of the request that evaluates the whole prompt


class FirstPrompts:
    """Limits the prompts of notebooks that are not evaluated yet, and evaluates them in pauses.

    The event loop, the worker's thread and the timer's call it.
    """

    def __init__(
        self,
        worker: Worker,
        settings: Turbopilot,
        make_job: Callable[[Plan, str], CompletionJob],
        resting: Callable[[], bool] = lambda: False,
    ) -> None:
        """`make_job` makes a job from a plan and a caller; `resting`: whether prefetching is paused."""
        self._worker = worker
        self._make_job = make_job
        self._resting = resting
        self._engine: Engine | None = None  # the engine that has evaluated the prompts
        self._longest = settings.prompt_tokens
        self._max_seconds = max(SLOW_SECONDS, settings.deadline / 2)
        self._notebooks = LimitedDict[tuple[str, str], _Notebook](MAX_NOTEBOOKS)
        self._lock = threading.Lock()  # for the notebooks and their fields

    def is_slow(self, speed: Speed) -> bool:
        """Return whether a machine is slow; a service for several users reduces its work by its load."""
        return 0 < speed.prompt < self._longest / self._max_seconds and not self._worker.sheds_load

    def enter(self, job: CompletionJob) -> None:
        """Interrupt the evaluation of the whole prompt: a request of the notebook was submitted."""
        if job.plan.evaluates_whole or not self.is_slow(speed_of(self._worker.engine)):
            return
        with self._lock:
            notebook = self._notebooks.setdefault(_key(job), _Notebook())
            notebook.latest = job.id
            if notebook.full_evaluation:
                notebook.full_evaluation.set(YIELDED)
            if notebook.short:
                self._wait(job)

    def limit(self, job: CompletionJob, prompt: Prompt, speed: Speed) -> int:
        """Return how many tokens before the cursor to evaluate now; 0: the whole prompt."""
        if job.plan.evaluates_whole or not self.is_slow(speed):
            return 0
        size = len(prompt.tokens) - prompt.tail
        with self._lock:
            if self._engine is not self._worker.engine:
                self._engine = self._worker.engine  # another one has evaluated nothing
                self._notebooks.clear()
            notebook = self._notebooks.setdefault(_key(job), _Notebook(latest=job.id))
            known = max((common_prefix_length(prompt.tokens, each) for each in notebook.evaluated), default=0)
            if size - min(known, size) <= speed.prompt * self._max_seconds:
                notebook.short = 0
            elif not notebook.short:
                # The same length for each keystroke: otherwise the beginning of the prompt would change.
                notebook.short = max(MIN_TOKENS, int(speed.prompt * FIRST_SECONDS) - prompt.tail)
            if notebook.short:
                self._wait(job)
            return notebook.short

    def evaluated(self, job: CompletionJob, prompt: Prompt) -> None:
        """Record that a prompt was evaluated."""
        with self._lock:
            if not prompt.short and (notebook := self._notebooks.get(_key(job))):
                notebook.evaluated = [*notebook.evaluated[1 - MAX_KEPT :], prompt.tokens]

    def end(self, job: CompletionJob) -> None:
        """Forget the evaluated prompts of a notebook whose request was too late: they may be lost."""
        with self._lock:
            if job.cancel.reason == DEADLINE and (notebook := self._notebooks.get(_key(job))):
                notebook.evaluated = []

    def _wait(self, job: CompletionJob) -> None:
        Alarm(partial(self._evaluate_full_prompt, job)).set(time.monotonic() + PAUSE)

    def _evaluate_full_prompt(self, job: CompletionJob) -> None:
        """Evaluate the whole prompt if no newer request was submitted; on the timer's thread."""
        if self._resting() or self._worker.level(job.caller) is not Level.NONE:
            return
        with self._lock:
            notebook = self._notebooks.get(_key(job))
            if not notebook or not notebook.short or notebook.latest != job.id:
                return
            if notebook.full_evaluation and not notebook.full_evaluation.is_set():
                return
            evaluation = self._make_job(job.plan.whole(), job.caller)
            notebook.full_evaluation = evaluation.cancel
        with suppress(TurbopilotError):  # the next request tries again
            self._worker.submit(evaluation)  # without the lock: it may end other requests


def _key(job: CompletionJob) -> tuple[str, str]:
    return job.caller, job.plan.session
