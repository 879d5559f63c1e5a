"""An engine that says what it is told to, as slowly as it is told to; for tests of everything else."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.base import Markers
from jupyter_turbopilot.engine.generation import Sampling, Token, Usage

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.cancel import Cancel

Answer = Callable[[str], str]
MARKS = {"<|fim_prefix|>": 1_114_113, "<|fim_suffix|>": 1_114_114, "<|fim_middle|>": 1_114_115}


class ScriptedEngine:
    """A token is a character on the way in, a word on the way out."""

    name = "scripted"
    fim = "qwen"

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
        self.markers = Markers()
        self.prompts: list[str] = []
        self.samplings: list[Sampling] = []
        self.finished: list[bool] = []
        self.closed = False

    def find_token(self, text: str) -> int | None:
        return MARKS.get(text)

    def tokenize(self, text: str) -> list[int]:
        return [ord(char) for char in text]

    def piece(self, token: int) -> bytes:
        return chr(token).encode()

    def generate(
        self, prompt: Sequence[int], sampling: Sampling, usage: Usage, cancel: Cancel
    ) -> Iterator[Token]:
        marks = {token: text for text, token in MARKS.items()}
        text = "".join(marks.get(token) or chr(token) for token in prompt)
        self.prompts.append(text)
        self.samplings.append(sampling)
        self.finished.append(False)
        number = len(self.finished) - 1
        usage.prompt_tokens = len(prompt)
        self._wait(self.prompt_pause, cancel)
        if self.fail:
            raise self.fail
        answer = self.answer if isinstance(self.answer, str) else self.answer(text)
        for word in re.findall(r"\s*\S+|\s+$", answer)[: sampling.max_tokens]:
            self._wait(self.pause, cancel)
            if cancel.is_set():
                return
            usage.predicted_tokens += 1
            yield Token(word.encode(), self.probability)
        usage.predicted_tokens = min(usage.predicted_tokens + 1, sampling.max_tokens)
        self.finished[number] = True

    @staticmethod
    def _wait(seconds: float, cancel: Cancel) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not cancel.is_set():
            time.sleep(0.002)

    def close(self) -> None:
        self.closed = True
