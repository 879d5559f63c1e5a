from __future__ import annotations

import gc
import sys
import weakref

import pytest

from jupyter_turbopilot.context.notebook import Context
from jupyter_turbopilot.prompt.layout import PIECES_REMEMBERED, Layout
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


def test_layout_bounds_its_cache() -> None:
    engine = ScriptedEngine()
    asked: list[str] = []
    tokenize = engine.vocabulary.tokenize
    engine.vocabulary.tokenize = lambda text: asked.append(text[:9]) or tokenize(text)  # type: ignore[method-assign,func-returns-value]
    layout = Layout(engine, Turbopilot())
    texts = [f"{number:08} {'x' * (PIECES_REMEMBERED // 1000)}" for number in range(30)]
    for text in (*texts, texts[-1], texts[0]):
        layout.tokenize(text)
    assert asked.count(texts[-1][:9]) == 1
    assert asked.count(texts[0][:9]) == 2  # the others have evicted it


def test_layout_tokenizes_a_cell_once() -> None:
    engine, asked = ScriptedEngine(), []
    tokenize = engine.vocabulary.tokenize
    engine.vocabulary.tokenize = lambda text: asked.append(text) or tokenize(text)  # type: ignore[method-assign,func-returns-value]
    layout = Layout(engine, Turbopilot())
    for typed in ("a", "ab", "abc"):
        layout.prompt(REQUEST, Context(("import numpy\n",), typed, ""))
    assert asked.count("import numpy\n") == 1


def test_prompt_keeps_an_outline_and_room_for_the_answer() -> None:
    engine, settings = ScriptedEngine(context_size=600), Turbopilot()
    pieces = tuple(f"import module{number}\n" + "y = 1\n" * 20 for number in range(10))
    tokens = Layout(engine, settings).prompt(REQUEST, Context(pieces, "x", "s" * 2000)).tokens
    text = "".join(chr(token) for token in tokens if token <= sys.maxunicode)
    assert "import module0\n" in text
    assert text.count("s") <= 600 // 4
    assert len(tokens) + min(settings.max_tokens, 600 // 2) <= 600


def test_prompt_heals_words_unless_disabled() -> None:
    engine = ScriptedEngine()
    healed, plain = (
        Layout(engine, Turbopilot(token_healing=healing)).prompt(REQUEST, Context((), "word", ""))
        for healing in (True, False)
    )
    assert (healed.forced, plain.forced) == (b"d", b"")


def test_prompt_is_shorter_for_a_smaller_context() -> None:
    engine, smaller = ScriptedEngine(context_size=4096), ScriptedEngine(context_size=256)
    smaller.vocabulary = engine.vocabulary  # a vocabulary outlives an engine in another process
    layout = Layout(engine, Turbopilot())
    assert layout.is_for(engine)
    assert not layout.is_for(smaller)
