"""The products written out give what the library gives."""

from __future__ import annotations

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
