"""A pilot with the real model, waited for: what the benchmarks inside one process ask."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.completer.waiting import Replies
from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.pilot.kinds.llama import LlamaKind
from jupyter_turbopilot.pilot.pilot import Pilot, study_of
from jupyter_turbopilot.server.describe import describe_health

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.raw_request import RawRequest
    from jupyter_turbopilot.reply import Reply
    from jupyter_turbopilot.request import Completion


def default_weights() -> Path:
    """Return the file that the default model is computed from: with the adapter folded in."""
    kind = Pilot(Turbopilot()).kind
    assert isinstance(kind, LlamaKind)
    return kind.weights(kind.find("qwen2.5-coder-0.5b"))[0]


class Desk:
    """Nothing is kept from an earlier run, and nothing is answered from memory, unless asked for."""

    def __init__(self, **settings: Any) -> None:
        own = Turbopilot(**{"keep_sequences": False, "learning": False, "results_memory": 0} | settings)
        self.pilot = Pilot(own, study=study_of(own, "server"))
        begun = time.perf_counter()
        self.pilot.start()
        while (phase := describe_health(self.pilot)["phase"]) == "loading":
            time.sleep(0.01)
        self.load_ms = (time.perf_counter() - begun) * 1000
        assert phase == "ready", describe_health(self.pilot)

    def begin(self, request: Completion | RawRequest) -> tuple[Job, Replies]:
        """Submit; return the job and its replies."""
        replies = Replies()
        return self.pilot.completer.submit(request, replies.listen), replies

    def ask(self, request: Completion | RawRequest) -> tuple[float, Reply]:
        """Submit and wait; return milliseconds and the answer."""
        begun = time.perf_counter()
        reply = self.begin(request)[1].last()
        return (time.perf_counter() - begun) * 1000, reply
