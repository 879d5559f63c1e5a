from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.generation import Sampling, Usage
from jupyter_turbopilot.engine.llama import LlamaEngine
from jupyter_turbopilot.engine.machine import Hardware
from jupyter_turbopilot.engine.stepping import write
from jupyter_turbopilot.errors import TurbopilotError

from ..tiny_adapter import make


def text(model: Path, *adapters: tuple[str, float]) -> bytes:
    hardware = Hardware(adapters=adapters)
    engine = LlamaEngine(model, name="t", context_size=256, threads=1, hardware=hardware)
    try:
        found = write(engine, engine.tokenize("abc"), Sampling(max_tokens=12), Usage(), Cancel())
        return b"".join(token.data for token in found)
    finally:
        engine.close()


def test_an_adapter_changes_what_is_written_as_much_as_it_counts(tiny_model: Path, tmp_path: Path) -> None:
    adapter = str(make(tmp_path / "a.gguf"))
    plain = text(tiny_model)
    assert text(tiny_model, (adapter, 4.0)) != plain
    assert text(tiny_model, (adapter, 1e-6)) == plain
    assert text(tiny_model) == plain


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"kind": "model"}, "is no LoRA adapter"),
        ({"architecture": "qwen2"}, "trained for a qwen2, and the model is a llama"),
        ({"width": 32}, "for another model"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(
    changed: dict[str, object], reason: str, tiny_model: Path, tmp_path: Path
) -> None:
    adapter = make(tmp_path / "a.gguf", **changed)  # type: ignore[arg-type]
    with pytest.raises(TurbopilotError, match=reason):
        text(tiny_model, (str(adapter), 1.0))


def test_an_adapter_that_was_trained_anew_is_another_setting(tmp_path: Path) -> None:
    # What was read with the old one must not be taken up, nor its trial's verdict.
    adapter = make(tmp_path / "a.gguf")
    before = Hardware(adapters=((str(adapter), 1.0),)).stamp
    assert Hardware(adapters=((str(adapter), 1.0),)).stamp == before
    make(adapter, width=32)
    assert Hardware(adapters=((str(adapter), 1.0),)).stamp != before
