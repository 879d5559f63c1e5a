"""The products written out give what the library gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from jupyter_turbopilot.training.forward import Forward

SIZES = {
    "vocab_size": 128,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
}


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (LlamaConfig(**SIZES, tie_word_embeddings=True), LlamaForCausalLM),
        (LlamaConfig(**SIZES, num_key_value_heads=2), LlamaForCausalLM),
        (Qwen2Config(**SIZES, num_key_value_heads=2), Qwen2ForCausalLM),
    ],
)
def test_they_are_the_librarys(config: Any, kind: Any) -> None:
    torch.manual_seed(1)
    model = kind(config)
    for name, part in model.named_parameters():
        if "norm" in name or "bias" in name:
            torch.nn.init.normal_(part)
    tokens = torch.randint(0, 128, (2, 300))
    with torch.no_grad():
        wanted = model(input_ids=tokens).logits
        assert torch.allclose(Forward(model, torch.float32, compiled=False)(tokens), wanted, atol=1e-4)
        near = Forward(model, torch.bfloat16, compiled=False)(tokens)
    assert near.dtype == torch.float32
    assert (near - wanted).abs().max() < 0.1 * wanted.abs().max()


def test_where_a_compiler_lacks_what_it_needs_the_layers_are_computed_as_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compiler = tmp_path / "g++"
    compiler.write_text("#!/bin/sh\necho 'Python.h: No such file' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    tokens = torch.randint(0, 128, (1, 40))
    forward = Forward(model, torch.float32, compiled=True)
    scores = forward(tokens)
    scores.sum().backward()
    assert "could not be compiled" in caplog.text
    assert torch.equal(scores, Forward(model, torch.float32, compiled=False)(tokens))
    assert all(part.grad is not None for part in model.parameters())
