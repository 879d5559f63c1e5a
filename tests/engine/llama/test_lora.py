from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load.plan import Hardware, LoadPlan
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling, Usage
from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.terminal.commands.loading import write

from ...tiny_adapter import make


def text(model: Path, *adapters: tuple[str, float], prompt: str = "abc") -> bytes:
    hardware = Hardware(adapters=tuple(AdapterSpec(*one) for one in adapters))
    engine = LlamaEngine(model, LoadPlan(256, 1, hardware=hardware), name="t")
    try:
        found = write(engine, engine.vocabulary.tokenize(prompt), Sampling(max_tokens=12), Usage(), Cancel())
        return b"".join(token.data for token in found)
    finally:
        engine.close()


def test_adapter_changes_the_text_according_to_its_scale(tiny_model: Path, tmp_path: Path) -> None:
    adapter = str(make(tmp_path / "a.gguf"))
    plain = text(tiny_model)
    assert text(tiny_model, (adapter, 4.0)) != plain
    assert text(tiny_model, (adapter, 1e-6)) == plain
    assert text(tiny_model) == plain


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"kind": "model"}, "is not a LoRA adapter"),
        ({"architecture": "qwen2"}, "trained for a qwen2 model, but this model is a llama"),
        ({"width": 32}, "for another model"),
    ],
)
def test_adapter_for_another_model_is_rejected(
    changed: dict[str, object], reason: str, tiny_model: Path, tmp_path: Path
) -> None:
    adapter = make(tmp_path / "a.gguf", **changed)  # type: ignore[arg-type]
    with pytest.raises(TurbopilotError, match=reason):
        text(tiny_model, (str(adapter), 1.0))


def test_adapters_apply_to_their_language_only(tiny_model: Path, tmp_path: Path) -> None:
    adapter = str(make(tmp_path / "a.gguf"))
    hardware = Hardware(adapters=(AdapterSpec(adapter, 4.0, "r"), AdapterSpec(adapter, 2.0, "julia")))
    engine = LlamaEngine(tiny_model, LoadPlan(256, 1, hardware=hardware), name="t")
    languages = ("python", "r", "julia", "", "r", "python")
    prompt = engine.vocabulary.tokenize("a text that is long enough to be kept for the next one")
    try:
        alone = [generate(engine, prompt, language)[0] for language in languages]
        # Each language has its own cached prompt.
        cached = [generate(engine, [*prompt, 65], language)[1] for language in ("python", "r", "julia")]
        together = [
            engine.start(EngineRequest(prompt, Sampling(max_tokens=12), language=one))
            for one in languages[:3]
        ]
        while not all(run.done for run in together):
            engine.step([run for run in together if not run.done], Cancel())
        beside = [b"".join(token.data for token in run.fresh) for run in together]
    finally:
        engine.close()
    assert alone[0] == text(tiny_model, prompt="a text that is long enough to be kept for the next one")
    assert alone[0] == alone[3] == alone[5]
    assert alone[1] == alone[4]
    assert len(set(alone)) == 3
    assert all(count >= len(prompt) for count in cached)
    assert beside == alone[:3]


def generate(engine: LlamaEngine, prompt: list[int], language: str) -> tuple[bytes, int]:
    engine_request = EngineRequest(prompt, Sampling(max_tokens=12), Usage(), language=language)
    run = engine.start(engine_request)
    assert run
    while not run.done:
        engine.step([run], Cancel())
    engine.release(run)
    return b"".join(token.data for token in run.fresh), engine_request.usage.cached_tokens
