"""One request on its way to its last reply, and the latest request of each editor."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from jupyter_turbopilot.bounds import remembering_for
from jupyter_turbopilot.completer.compose import Composer
from jupyter_turbopilot.completer.progress import AnswerInProgress
from jupyter_turbopilot.engine.job import DEADLINE, SUPERSEDED, Job, Work
from jupyter_turbopilot.reply import Item, Reply, Timings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from jupyter_turbopilot.completer.task import Recollection, Task
    from jupyter_turbopilot.completer.waiting import Listener
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.errors import TurbopilotError
    from jupyter_turbopilot.generation import Ask, Token
    from jupyter_turbopilot.memory.recall import Recalled
    from jupyter_turbopilot.suggestion.cache import Results


class Editor(NamedTuple):
    """A caller, and one of the caller's editors."""

    caller: str
    client: str


class _Latest(NamedTuple):
    job: Job
    document: str


class LatestJobs:
    """The job that each editor asked for last, until it has ended: the next request takes its place."""

    def __init__(self) -> None:
        self._latest: dict[Editor, _Latest] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many editors wait for something."""
        return len(self._latest)

    def follow(self, editor: Editor, document: str, job: Job) -> Job | None:
        """Return the job of the same editor whose place this one takes; elsewhere than there it is ended."""
        with self._lock:
            latest = self._latest.get(editor)
            self._latest[editor] = _Latest(job, document)
        if latest and latest.document != document:
            latest.job.cancel.set(SUPERSEDED)
            return None
        return latest.job if latest else None

    def forget(self, editor: Editor, job: Job) -> None:
        """Forget a job that has ended, unless the editor has asked for another since."""
        with self._lock:
            if (latest := self._latest.get(editor)) and latest.job is job:
                del self._latest[editor]

    def is_awaited(self, editor: Editor) -> bool:
        """Return whether the editor's latest request is awaited."""
        with self._lock:
            latest = self._latest.get(editor)
        return latest is not None and latest.job.priority.awaited


class Answering:
    """Has a task done and tells the listener; `ended` is told the last reply first."""

    def __init__(
        self,
        task: Task,
        caller: str,
        listener: Listener,
        results: Results,
        counters: dict[str, int],
        ended: Callable[[Answering, Reply], None],
    ) -> None:
        self.name = uuid4().hex
        self.task = task
        self.editor = Editor(caller, task.client)
        self._listener = listener
        self._results = results
        self._counters = counters
        self._ended = ended
        self._reply = Reply(id=self.name)
        self._begun = time.perf_counter()
        self._recalled: Recalled | None = None
        self._told: Reply | None = None  # the newest of what is shown, where memory began it
        self._heard = False  # whether the model has shown something
        self._settled = True  # whether memory has said what it says here
        self.job = Job(
            self._work,
            self.end,
            priority=task.priority,
            deadline=task.deadline,
            caller=caller,
            client=task.client,
        )
        self.job.progress = AnswerInProgress()

    def _work(self, engine: Engine, job: Job) -> Work:
        """Compose the answer, on the worker's thread."""
        guess = self._recalled.text if self._recalled else ""
        composer = Composer(self.name, self.task, engine, job, self._hear, self._results, guess)
        try:
            self._reply = yield from _for_owner(self.task.place.owner, composer.write())
        finally:
            self._counters["taken_over"] += composer.taken_over
            self._counters["ended"] += composer.ended

    def answer(self, reply: Reply) -> None:
        """End with an answer that needed no work."""
        self._reply = reply
        self.end()

    def recall(self, found: Recollection | None, model: str) -> bool:
        """Take what memory says, and show it if it is sure; tell whether that was all that is wanted."""
        self.task = self.task.joined(self.task, found)
        self._recalled = recalled = found.line if found else None
        self._settled = found is not None and found.settled
        if not (recalled and recalled.sure and model and (self.task.stream or recalled.whole)):
            return False
        self._counters["recalled"] += 1
        timings = Timings(total_ms=(time.perf_counter() - self._begun) * 1000)
        self._told = Reply(self.name, model, (_item_of(recalled),), timings, passing=True)
        if recalled.whole:
            self.answer(self._told)
        else:
            self._listener(self._told)
        return recalled.whole

    @property
    def _passing(self) -> bool:
        # Where memory was too slow, there may be a better answer the next time.
        return bool(self.task.passing or self._told or not self._settled)

    def _hear(self, reply: Reply) -> None:
        """Tell what the model has written, if that does not take back what memory has shown."""
        if self._keeps(reply):
            reply = replace(reply, passing=self._passing)
            self._told = self._told and reply
            self._heard = self._heard or bool(reply.items)
            self._listener(reply)

    def _keeps(self, reply: Reply) -> bool:
        """Tell whether nothing is missing of what memory has shown, and the model has added since."""
        return not self._told or bool(
            reply.items and reply.items[0].text.startswith(self._told.items[0].text)
        )

    def end(self, error: TurbopilotError | None = None) -> None:
        """Tell the last reply, with what there is or why there is nothing."""
        reply = self._last(error)
        recalled = any(item.recalled for item in reply.items)
        reply = replace(reply, passing=self._passing or recalled or self._reply.passing)
        self._ended(self, reply)
        self._listener(reply)

    def _last(self, error: TurbopilotError | None) -> Reply:
        reply, reason = replace(self._reply, done=True, error=error), self.job.cancel.reason
        if self._told and not self._keeps(reply) and (not reason or reason == DEADLINE):
            # What was shown stays, whatever became of the engine.
            finish = "error" if error else reason or reply.finish_reason
            reply = replace(self._told, done=True, finish_reason=finish)
        elif not (self._told or self._heard or reason or error):
            reply = self._surer(reply)
        if reason and (reason != DEADLINE or not reply.items):
            return replace(reply, items=(), finish_reason=reason)
        return reply

    def _surer(self, reply: Reply) -> Reply:
        """Return what the model has written, or what memory says where that is surer."""
        recalled = self._recalled
        if not (recalled and recalled.sure):
            return reply
        if reply.items and reply.items[0].confidence >= recalled.confidence:
            return reply
        self._counters["recalled"] += 1
        return replace(reply, items=(_item_of(recalled),))


def _item_of(recalled: Recalled) -> Item:
    reason = "stop" if recalled.whole else "length"
    confidence = round(recalled.confidence, 4)
    return Item(recalled.text, confidence, reason, imports=recalled.imports, recalled=True)


def _for_owner(owner: str, work: Generator[Ask, list[Token], Reply]) -> Generator[Ask, list[Token], Reply]:
    """Do some work, of which each step remembers for its owner alone; others' steps come between."""
    step = partial(next, work)
    try:
        while True:
            with remembering_for(owner):
                ask = step()
            step = partial(work.send, (yield ask))
    except StopIteration as ended:
        reply: Reply = ended.value
        return reply
    finally:
        work.close()
