import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.llama.vocabulary import load_vocabulary
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.protocol.errors import EngineError


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> Iterator[LlamaEngine]:
    engine = LlamaEngine(tiny_model, LoadPlan(512, 1), name="tiny")
    yield engine
    engine.close()


def test_tokenize_raises_if_the_model_is_closed(tiny_model: Path) -> None:
    # Routes tokenize on other threads while the worker may change the model: it must not crash.
    engine = LlamaEngine(tiny_model, LoadPlan(512, 1), name="t")
    asked = threading.Event()
    refused: list[str] = []

    def ask() -> None:
        while True:
            asked.set()
            try:
                engine.vocabulary.tokenize("x" * 1000)
            except EngineError as error:
                refused.append(error.message)
                return

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    asked.wait()
    engine.close()
    for thread in threads:
        thread.join(30)
    assert len(refused) == 4


def test_load_vocabulary_equals_the_engines_vocabulary(engine: LlamaEngine, tiny_model: Path) -> None:
    alone, whole = load_vocabulary(tiny_model), engine.vocabulary
    for name in ("markers", "specials", "ends", "unit", "slice_rule"):
        assert getattr(alone, name) == getattr(whole, name)
    assert alone.table.pieces == whole.table.pieces
    for text in ("", "def f(x):\n\treturn 'é🙂'", "<|fim_prefix|>", "x = 1\n" * 20_000):
        assert alone.tokenize(text) == whole.tokenize(text)
    assert alone.find_token("<|fim_prefix|>") == 257
    alone.close()
    alone.close()
    for ask in (alone.tokenize, alone.find_token):
        with pytest.raises(EngineError, match="has just been changed"):
            ask("x")
    assert whole.tokenize("abc") == [97, 98, 99]


def test_load_vocabulary_rejects_a_file_without_one(tmp_path: Path) -> None:
    (tmp_path / "none.gguf").write_bytes(b"GGUF")
    with pytest.raises(EngineError, match=r"could not read the vocabulary of none\.gguf"):
        load_vocabulary(tmp_path / "none.gguf")
