"""Whole requests that Python and the front end's TypeScript answer equally."""

from __future__ import annotations

import string
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert, structs, to_builtins

from jupyter_turbopilot.completer.completion_job import CompletionJob, Shared
from jupyter_turbopilot.completer.first_prompts import FirstPrompts
from jupyter_turbopilot.completer.suggestion_plan import plan_suggestion
from jupyter_turbopilot.context import notebook
from jupyter_turbopilot.context.kernel_context import KernelContext
from jupyter_turbopilot.context.notebook import Context
from jupyter_turbopilot.engine.base import Capabilities
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.plugins.remote.vocabulary import CodePoints
from jupyter_turbopilot.prompt.layout import Layout
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling, Token
from jupyter_turbopilot.protocol.reply import Reply
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.suggestion import gate_fit

from ..shared_cases import Twins
from .kinds import EXAMPLES, LANGUAGE, LINES, TEXT, WRITTEN, close

CELLS = st.lists(
    st.builds(
        Cell,
        type=st.sampled_from(["code", "code", "code", "markdown", "raw"]),
        source=TEXT,
        executed=st.sampled_from([True, False, None]),
        error=st.none() | st.sampled_from(["KeyError: 'x'", "a\x1eb\n", "password = 'hunter22'"]),
    ),
    min_size=1,
    max_size=4,
)
SETTINGS = st.fixed_dictionaries(
    {
        "promptTokens": st.sampled_from([64, 100, 1024]),
        "suffixTokens": st.sampled_from([0, 8, 96]),
        "maxTokens": st.sampled_from([2, 48]),
        "maxLines": st.integers(1, 4),
        "eagerness": st.sampled_from(gate_fit.EAGERNESS),
    }
)


@st.composite
def requests(draw: st.DrawFn, **more: Any) -> Completion:
    cells = draw(CELLS)
    active = draw(st.integers(0, len(cells) - 1))
    return Completion(
        cells=cells,
        active=active,
        offset=draw(st.integers(0, len(cells[active].source))),
        language=draw(LANGUAGE),
        path=draw(st.sampled_from(["a.ipynb", "a.ipynb", "conf/.env"])),
        **{name: draw(kind) for name, kind in more.items()},
    )


@EXAMPLES
@given(requests())
def test_the_same_context_is_gathered(twins: Twins, request: Completion) -> None:
    found = asdict(notebook.gather(request))
    assert twins("gather", to_builtins(request)) == found | {"pieces": [*found["pieces"]]}


@dataclass
class Said:
    """A scripted engine, with one part of a text per step. Words have ids above those of all characters."""

    texts: list[list[tuple[str, float]]]
    context_size: int
    name = "scripted"
    fim = "auto"

    def __post_init__(self) -> None:
        self.capabilities = Capabilities()
        self.vocabulary = CodePoints(fills=True)
        self.vocabulary.by_character = True
        self.vocabulary.piece = self._piece  # type: ignore[method-assign]
        self.asks: list[EngineRequest] = []
        self._words: list[str] = []

    def _piece(self, token: int) -> bytes:
        beyond = token - sys.maxunicode - 17
        return (self._words[beyond] if beyond >= 0 else chr(token)).encode()

    def say(self, ask: EngineRequest) -> Iterator[list[Token]]:
        message = self.texts[len(self.asks)] if len(self.asks) < len(self.texts) else []
        self.asks.append(ask)
        most = max(0, min(ask.sampling.max_tokens, self.context_size - len(ask.prompt)))
        for text, probability in message[:most]:
            ask.usage.predicted_tokens += 1
            yield [Token(text.encode(), probability, self._number(text))]
        while True:
            yield []

    def _number(self, text: str) -> int:
        if len(text) == 1:
            return ord(text)
        if text not in self._words:
            self._words.append(text)
        return sys.maxunicode + 17 + self._words.index(text)


class Nothing:
    """An empty completion cache."""

    def find(self, place: Any) -> None: ...

    def remember(self, *given: Any, **more: Any) -> None: ...


def configured(chosen: dict[str, Any]) -> Turbopilot:
    settings = {
        "".join(f"_{c.lower()}" if c in string.ascii_uppercase else c for c in k): v
        for k, v in chosen.items()
    }
    return Turbopilot(token_healing=False, **settings)


@EXAMPLES
@given(
    st.lists(TEXT, max_size=8),
    TEXT,
    TEXT,
    st.sampled_from([200, 300, 2048]),
    SETTINGS,
    st.sampled_from([None, 1, 40]),
)
def test_prompts_are_laid_out_alike(
    twins: Twins, pieces: list[str], prefix: str, suffix: str, size: int, chosen: Any, most: Any
) -> None:
    pieces = [piece * 5 for piece in pieces]
    engine = Said([], size)
    layout = Layout(engine, configured(chosen))  # type: ignore[arg-type]
    request = Completion(cells=[Cell()], offset=0, max_tokens=most)
    prompt = layout.prompt(request, Context(tuple(pieces), prefix, suffix))
    context = {"pieces": pieces, "prefix": prefix, "suffix": suffix}
    assert twins("layout", context, size, chosen, most) == prompt.tokens


FACTS = st.dictionaries(
    st.sampled_from(["df", "x", "xs", "é"]),
    st.fixed_dictionaries(
        {},
        optional={
            "columns": st.none()
            | st.lists(
                st.tuples(
                    st.sampled_from(["price", "pr", "a b", "it's", "class", "\ufb01ne", "x\u202e", "é"]),
                    st.just("int64"),
                ),
                max_size=3,
            ),
            "all": st.booleans(),
            "module": st.sampled_from([None, "pandas", "polars.dataframe"]),
            "attributes": st.none()
            | st.lists(st.sampled_from(["head", "hex", "class", "a b", "\ufb01t", "\U0001d465"]), max_size=3),
        },
    ),
    max_size=3,
).map(lambda names: {"names": names, "all": True})


def answer(
    request: Completion, engine: Said, chosen: Turbopilot, kernel_context: KernelContext
) -> dict[str, Any]:
    """Return the answer of a server with this scripted engine."""
    plan = plan_suggestion(request, kernel_context, engine.name, chosen)
    replies: list[Reply] = []
    first_prompts = FirstPrompts(Worker(), chosen, lambda *_: pytest.fail("made"))
    shared = Shared(chosen, Nothing(), Counter(), first_prompts)  # type: ignore[arg-type]
    job = CompletionJob(plan, "", [replies.append], shared)
    ask = job.begin(engine, None)  # type: ignore[arg-type]
    last, message = None, iter([])
    while ask:
        if ask is not last:
            last, message = ask, engine.say(ask)
        ask = job.feed(next(message))
    job.end(None)
    asked = [
        {"prompt": [*ask.prompt], "sampling": _sampling(ask.sampling, len(ask.prompt), engine.context_size)}
        for ask in engine.asks
    ]
    if request.n > 1:
        return {"items": replies[-1].body()["items"], "asked": asked}
    kept = ("text", "confidence", "done", "finish_reason")
    frames = [{name: frame[name] for name in kept if name in frame} for frame in map(Reply.frame, replies)]
    return {"frames": frames, "asked": asked}


def _sampling(sampling: Sampling, prompt: int, context_size: int) -> dict[str, Any]:
    beginning = sampling.beginning
    return {
        "maxTokens": min(sampling.max_tokens, max(0, context_size - prompt)),
        "candidates": [[*map(ord, way.decode())] for way in beginning.candidates],
        "banned": beginning.banned,
    }


@EXAMPLES
@given(
    requests(
        trigger=st.sampled_from(["automatic", "invoke", "prefetch", "warmup"]),
        lines=LINES,
        eagerness=st.none() | st.sampled_from(gate_fit.EAGERNESS),
        n=st.sampled_from([1, 1, 2, 4]),
        max_tokens=st.sampled_from([None, 3]),
        max_lines=st.sampled_from([None, 2]),
    ),
    st.lists(WRITTEN, min_size=1, max_size=4),
    st.sampled_from([400, 2048]),
    SETTINGS,
    FACTS,
)
def test_requests_are_answered_alike(
    twins: Twins, request: Completion, message: Any, size: int, chosen: Any, known: Any
) -> None:
    request = structs.replace(request, stream=request.n == 1)
    expected = answer(request, Said(message, size), configured(chosen), convert(known, KernelContext))
    found = twins("answer", to_builtins(request), message, size, chosen, known)
    assert close(expected, found, 2e-4)
