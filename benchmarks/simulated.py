"""People who type in virtual time, on replicas that are the product's own code."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from people import Habits, Outcome, as_asked_by, replica_of, type_as
from virtual import VirtualEngine, VirtualWorker, in_time
from virtual_time import Signal, Timeline

from jupyter_turbopilot.completer.completer import Completer
from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.engine.load.plan import DEFAULT_CONTEXT
from jupyter_turbopilot.evaluate import typist
from jupyter_turbopilot.suggestion.cache import Results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from recorded import Steps, Texts

    from jupyter_turbopilot.evaluate.traces import Trace
    from jupyter_turbopilot.reply import Reply

TOKEN_BYTES = 12 * 1024  # keys and values, of the default model


class VirtualReplies:
    """Replies as they grow, for an actor."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline, self._came = timeline, Signal(timeline)
        self._replies: list[Reply] = []

    def listen(self, reply: Reply) -> None:
        """Take the next reply."""
        self._replies.append(reply)
        self._came.notify()

    def within(self, seconds: float) -> Reply | None:
        """Return the next reply; None where none comes in that time."""
        end = self._timeline.now + seconds
        while not self._replies and self._timeline.now < end:
            self._came.wait(end - self._timeline.now)
        return self._replies.pop(0) if self._replies else None


@contextmanager
def typing_in(timeline: Timeline) -> Iterator[None]:
    """Have people type in virtual time."""
    module: Any = typist
    before = module.time, module.Replies
    module.time, module.Replies = timeline, partial(VirtualReplies, timeline)
    try:
        with in_time(timeline):
            yield
    finally:
        module.time, module.Replies = before


class AsServed:
    """A server's one completer: all who bring its key are one caller, each an editor."""

    def __init__(self, completer: Completer) -> None:
        self._completer = completer

    def submit(self, request: Any, listener: Callable[[Reply], None], caller: str, **_: str) -> None:
        """Ask as over HTTP."""
        self._completer.submit(as_asked_by(request, caller), listener)


class Alone:
    """A person's own completer, in front of a replica that knows them."""

    def __init__(self, completer: Completer) -> None:
        self._completer = completer

    def submit(self, request: Any, listener: Callable[[Reply], None], caller: str, owner: str) -> None:
        """Ask as in one's own server."""
        self._completer.submit(as_asked_by(request, caller), listener, caller=caller, owner=owner)


def simulate(  # noqa: PLR0913 - a scenario
    model: Any,
    steps: Steps,
    texts: Texts,
    traces: Sequence[Trace],
    people: int,
    replicas: int,
    habits: Habits,
    *,
    served: bool = False,
    sequences: int = 96,
    seed: int = 1,
) -> Outcome:
    """Let people type in virtual time; `served`: they share a server's completer, as in the real runs."""
    timeline, outcome = Timeline(), Outcome()
    settings = Turbopilot(deadline=100.0 if served else 10.0)
    parked = sequences * 2**20 // TOKEN_BYTES
    with typing_in(timeline):
        workers, engines = [], []
        for _ in range(replicas):
            worker = VirtualWorker(timeline, queue_limit=settings.queue_limit)
            engine = VirtualEngine(timeline, model, steps, texts, cells=2 * DEFAULT_CONTEXT, parked=parked)
            worker.load(model.name, lambda _, engine=engine: engine)  # type: ignore[misc]
            workers.append(worker)
            engines.append(engine)
        timeline.run()
        shared = [_completer(worker, settings) for worker in workers]

        def person(number: int) -> None:
            place = replica_of(f"person {number}", replicas)
            mine: Any = AsServed(shared[place]) if served else Alone(_completer(workers[place], settings))
            outcome.add(type_as(number, mine, traces, habits, timeline, seed))

        lasted = habits.seconds + habits.spread
        timeline.at(timeline.now + lasted, lambda: outcome.busy.extend(e.busy / lasted for e in engines))
        for number in range(people):
            timeline.start(partial(person, number))
        timeline.run()
        for worker in workers:
            worker.stop()
        timeline.run()
    outcome.evaluated = sum(engine.evaluated for engine in engines)
    outcome.typed = people * habits.seconds
    return outcome


def _completer(worker: VirtualWorker, settings: Turbopilot) -> Completer:
    completer = Completer(worker, settings, Results(settings.results_memory * 2**20))
    assert worker.engine
    completer.answer_from(worker.engine)
    return completer
