"""A fake engine with a configurable answer and speed, for tests of other modules."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from jupyter_turbopilot.engine.base import Capabilities, Speed
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama.kind import LlamaKind
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.jupyter.pilot.library import store_of
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.plugins.remote.vocabulary import CodePoints
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling, Token
from jupyter_turbopilot.settings.config import Turbopilot

Answer = Callable[[str], str]
MARKS = {"<|fim_prefix|>": 1_114_113, "<|fim_suffix|>": 1_114_114, "<|fim_middle|>": 1_114_115}


def words(count: int) -> str:
    """Return a text without repetitions, which would end the generation."""
    return " ".join(f"word{number}" for number in range(count))


@dataclass(eq=False)
class ScriptedRun:
    """A generation in progress."""

    request: EngineRequest
    text: str
    number: int
    words: list[str] | None = None
    fresh: list[Token] = field(default_factory=list)
    done: bool = False

    @property
    def pending(self) -> int:
        return len(self.request.prompt) if self.words is None else 1


class ScriptedEngine:
    """An engine whose prompts have one token per character, and whose texts have one per word."""

    name = "scripted"
    fim = "qwen"
    identity = "scripted"
    level: Level | None = Level.NONE

    def __init__(
        self,
        answer: str | Answer = "",
        *,
        probability: float = 0.99,
        pause: float = 0.0,
        prompt_pause: float = 0.0,
        fail: Exception | None = None,
        context_size: int = 4096,
    ) -> None:
        self.answer = answer
        self.probability = probability
        self.pause = pause
        self.prompt_pause = prompt_pause
        self.fail = fail
        self.context_size = context_size
        self.capabilities = Capabilities()
        self.speed = Speed()
        self.vocabulary = CodePoints(specials=MARKS, unit=1)
        self.prompts: list[str] = []
        self.samplings: list[Sampling] = []
        self.asks: list[EngineRequest] = []
        self.finished: list[bool] = []
        self.suspended: list[ScriptedRun] = []
        self.released = 0
        self.threads = 0
        self.closed = self.kept = False

    def start(self, engine_request: EngineRequest) -> ScriptedRun:
        marks = {token: text for text, token in MARKS.items()}
        text = "".join(marks.get(token) or chr(token) for token in engine_request.prompt)
        self.prompts.append(text)
        self.samplings.append(engine_request.sampling)
        self.asks.append(engine_request)
        self.finished.append(False)
        engine_request.usage.prompt_tokens = len(engine_request.prompt)
        return ScriptedRun(engine_request, text, len(self.finished) - 1)

    def step(self, runs: Sequence[ScriptedRun], interrupt: Cancel) -> None:
        for run in runs:
            if run.words is None:
                self._wait(self.prompt_pause, interrupt)
                if interrupt.is_set():
                    return
                if self.fail:
                    raise self.fail
                answer = self.answer if isinstance(self.answer, str) else self.answer(run.text)
                run.words = re.findall(r"\s*\S+|\s+$", answer)[: run.request.sampling.max_tokens]
        self._wait(self.pause, interrupt)
        if interrupt.is_set():
            return
        for run in runs:
            usage = run.request.usage
            usage.predicted_tokens = min(usage.predicted_tokens + 1, run.request.sampling.max_tokens)
            if run.words:
                run.fresh.append(self.token(run, run.words[0]))
                run.words.pop(0)
            else:
                run.done = self.finished[run.number] = True

    def token(self, run: ScriptedRun, word: str) -> Token:
        """Return the token for the next word of a run."""
        return Token(word.encode(), self.probability, ord(word.strip()[:1] or " "))

    def suspend(self, run: ScriptedRun) -> None:
        self.suspended.append(run)

    def resume(self, run: ScriptedRun) -> bool:
        self.suspended.remove(run)
        return True

    def release(self, run: ScriptedRun) -> None:
        self.released += 1

    def use_threads(self, count: int) -> None:
        self.threads = count

    @staticmethod
    def _wait(seconds: float, cancel: Cancel) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not cancel.is_set():
            time.sleep(0.002)

    def close(self, *, keep: bool = True) -> None:
        self.closed, self.kept = True, keep


def kind_with(load: Callable[..., Any]) -> Callable[[Turbopilot], LlamaKind]:
    """Return an engine kind that loads models with `load` instead of llama.cpp."""
    return lambda settings: LlamaKind(settings, store_of(settings), load)


def pilot_with(settings: Turbopilot, load: Callable[..., Any], **more: Any) -> Pilot:
    """Return a pilot that loads models with `load` instead of llama.cpp."""
    return Pilot(settings, kind=kind_with(load)(settings), **more)
