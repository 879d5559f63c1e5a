import gc
import sys
import weakref

import pytest

from jupyter_turbopilot.context.notebook import Context
from jupyter_turbopilot.engine.base import Capabilities
from jupyter_turbopilot.prompt.formats import WIDEST
from jupyter_turbopilot.prompt.layout import Layout
from jupyter_turbopilot.protocol.errors import EngineError
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.settings.config import Turbopilot

from ..scripted_engine import ScriptedEngine

REQUEST = Completion(cells=[Cell(source="x", type="code")], active=0, offset=1)


def test_layout_does_not_keep_a_closed_engine_alive() -> None:
    engine = ScriptedEngine()
    layout = Layout(engine, Turbopilot())
    layout.prompt(REQUEST, Context(("import numpy\n",), "x", ""))
    gone = weakref.ref(engine)
    del engine
    gc.collect()
    assert gone() is None
    with pytest.raises(EngineError):
        layout.prompt(REQUEST, Context((), "x", ""))


def test_prompt_keeps_an_outline_and_room_for_the_answer() -> None:
    engine, settings = ScriptedEngine(context_size=600), Turbopilot()
    pieces = tuple(f"import module{number}\n" + "y = 1\n" * 20 for number in range(10))
    tokens = Layout(engine, settings).prompt(REQUEST, Context(pieces, "x", "s" * 2000)).tokens
    text = "".join(chr(token) for token in tokens if token <= sys.maxunicode)
    assert "import module0\n" in text
    assert text.count("s") <= 600 // 4
    assert len(tokens) + min(settings.max_tokens, 600 // 2) <= 600


@pytest.mark.parametrize(("constrains", "forced"), [(True, b"d"), (False, b"")])
def test_prompt_heals_words_if_the_engine_constrains(constrains: bool, forced: bytes) -> None:
    engine = ScriptedEngine()
    engine.capabilities = Capabilities(prefix_constraints=constrains)
    assert Layout(engine, Turbopilot()).prompt(REQUEST, Context((), "word", "")).forced == forced


def test_prompt_tokenizes_only_text_that_may_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, settings, tokenized = ScriptedEngine(), Turbopilot(), list[int]()
    tokenize = engine.vocabulary.tokenize

    def counted(text: str, **more: bool) -> list[int]:
        tokenized.append(len(text))
        return tokenize(text, **more)

    monkeypatch.setattr(engine.vocabulary, "tokenize", counted)
    Layout(engine, settings).prompt(REQUEST, Context((), "x" * 10**6, "y" * 10**6))
    assert max(tokenized) <= WIDEST * settings.prompt_tokens
