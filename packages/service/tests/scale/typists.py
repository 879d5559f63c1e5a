"""Simulated users who type concurrently, each with a separate server with the engine `remote`."""

import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from jupyter_turbopilot.completer.cache.completion_cache import CompletionCache
from jupyter_turbopilot.completer.plan import Admission
from jupyter_turbopilot.completer.reply_iterators import Replies
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote
from jupyter_turbopilot.protocol.engine_request import RawRequest, Sampling
from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.settings.config import Turbopilot

from .fleet import Fleet, until

PAUSE = 0.3  # seconds between an answer and the next keystroke
LENGTH = 12


@dataclass
class Typist:
    """One user: the times of completions, and the errors."""

    number: int
    got: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def worst_gap(self) -> float:
        """The longest time without a completion."""
        return max((late - early for early, late in pairwise(self.got)), default=0.0)


class Typists:
    """Several users, one thread each, within a `with` statement."""

    def __init__(self, fleet: Fleet, model: Path, key_file: Path, count: int = 20) -> None:
        settings = Turbopilot(engine="remote")
        settings.section(TurbopilotRemote).url = f"{fleet.url}/v1"
        settings.section(TurbopilotRemote).key_file = str(key_file)
        settings.section(TurbopilotRemote).vocabulary = str(model)
        self._pilot = Pilot(settings)
        self._pilot.completer.shared.results = CompletionCache(0)
        self._pilot.start()
        until(lambda: self._pilot.worker.state.ready, "the engine remote", 60)
        self.people = [Typist(number) for number in range(count)]
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._type, args=(person,)) for person in self.people]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(60)
        self._pilot.stop()

    def _type(self, person: Typist) -> None:
        text = f"# {person.number}\nvalue = "
        while not self._ended.wait(PAUSE):
            text += "x"
            if reported := self._ask(text[-200:], f"person {person.number}"):
                person.lost.append(reported)
            else:
                person.got.append(time.monotonic())

    def _ask(self, text: str, caller: str) -> str:
        """Request a completion; return the error message, if any."""
        request, replies = RawRequest(text, sampling=Sampling(max_tokens=LENGTH)), Replies()
        try:
            self._pilot.ensure()
            self._pilot.completer.submit(request, replies.listen, Admission(caller=caller))
        except TurbopilotError as error:
            return error.message
        last = replies.last()
        if last.error:
            return last.error.message
        return "" if last.items else f"nothing was written ({last.finish_reason})"

    def report(self) -> dict[str, Any]:
        """Return the results of all users."""
        return {
            "completions": sum(len(person.got) for person in self.people),
            "lost": [message for person in self.people for message in person.lost],
            "worst_gap": max(person.worst_gap for person in self.people),
        }

    def until_all_got(self, more: int, seconds: float) -> None:
        """Wait until every user has received `more` further completions."""
        wanted = [len(person.got) + more for person in self.people]

        def all_got() -> bool:
            return all(len(person.got) >= most for person, most in zip(self.people, wanted, strict=True))

        until(all_got, f"{more} completions for every user", seconds)
