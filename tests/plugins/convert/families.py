"""Tiny random models of each family, made with transformers, with a tokenizer trained on a little code."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from jupyter_turbopilot.plugins.convert.tokenizer import _WORDS

ROWS = 600
_SAMPLE = [path.read_text("utf-8") for path in sorted(Path(__file__).parents[2].glob("*.py"))]
_COMMON: dict[str, Any] = {"vocab_size": ROWS, "bos_token_id": 0, "eos_token_id": 0}
_OLD = {**_COMMON, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 256}
_NEW = {
    **_COMMON,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
}
FAMILIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "codegen": ("CodeGenForCausalLM", {**_OLD, "n_ctx": 256, "rotary_dim": 8}, "bytes"),
    "gptj": ("GPTJForCausalLM", {**_OLD, "rotary_dim": 8}, "bytes"),
    "bigcode-shared": ("GPTBigCodeForCausalLM", {**_OLD, "multi_query": True}, "digits"),
    "bigcode-heads": ("GPTBigCodeForCausalLM", {**_OLD, "multi_query": False}, "digits"),
    "starcoder2": (
        "Starcoder2ForCausalLM",
        {**_NEW, "num_key_value_heads": 2, "sliding_window": None},
        "digits",
    ),
    "llama": ("LlamaForCausalLM", {**_NEW, "num_key_value_heads": 2}, "scored"),
    "llama-linear": (
        "LlamaForCausalLM",
        {
            **_NEW,
            "attention_bias": True,
            "rope_scaling": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e5},
        },
        "deepseek",
    ),
    "mistral": (
        "MistralForCausalLM",
        {**_NEW, "num_key_value_heads": 1, "head_dim": 32, "sliding_window": None},
        "scored",
    ),
    "qwen2": ("Qwen2ForCausalLM", {**_NEW, "num_key_value_heads": 2, "tie_word_embeddings": True}, "qwen"),
    "gpt-neox": ("GPTNeoXForCausalLM", {**_NEW, "rotary_pct": 0.5, "hidden_act": "gelu_fast"}, "bytes"),
    "gpt2": ("GPT2LMHeadModel", {**_OLD, "scale_attn_by_inverse_layer_idx": True}, "bytes"),
    "phi": ("PhiForCausalLM", {**_NEW, "partial_rotary_factor": 0.5}, "bytes"),
}


def make(family: str, folder: Path, *, sharded: bool = False, binary: bool = False, **changed: Any) -> Any:
    """Write a model of a family with its tokenizer; return transformers' model."""
    kind, values, cut = FAMILIES[family]
    torch.manual_seed(7)
    chosen = getattr(transformers, kind)
    model = chosen(chosen.config_class(**{**values, **changed})).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            # New models have biases and norms near zero; make them matter.
            value.add_(
                torch.randn_like(value) * (0.1 if "norm" in name or "bias" in name or "ln_" in name else 0.2)
            )
    model.save_pretrained(folder, **({"max_shard_size": "100KB"} if sharded else {}))
    if binary:
        for file in folder.glob("*.safetensors"):
            file.unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "tokenizer.json").write_text(tokenizer(cut).to_str())
    special = "<s>" if cut == "scored" else "<|endoftext|>"
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"bos_token": special, "eos_token": special, "add_bos_token": False})
    )
    return model


@lru_cache
def tokenizer(cut: str) -> Tokenizer:
    """Train a tokenizer with one of the pre-tokenizers."""
    if cut == "scored":
        return _scored()
    made = Tokenizer(models.BPE())
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    steps = {
        "bytes": [pre_tokenizers.ByteLevel(add_prefix_space=False)],
        "digits": [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ],
        "qwen": [pre_tokenizers.Split(Regex(_WORDS % ""), "isolated"), plain],
        "deepseek": [
            *(
                pre_tokenizers.Split(Regex(words), "isolated")
                for words in (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+")
            ),
            pre_tokenizers.Digits(individual_digits=True),
            plain,
        ],
    }[cut]
    made.pre_tokenizer = steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=ROWS - 40,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(_SAMPLE, trainer)
    if cut == "bytes":
        made.add_tokens([" " * length for length in range(31, 1, -1)])  # like CodeGen
    return made


def _scored() -> Tokenizer:
    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(
        vocab_size=ROWS - 300, special_tokens=["<unk>", "<s>"], show_progress=False, limit_alphabet=90
    )
    made.train_from_iterator(_SAMPLE, trainer)
    message = json.loads(made.to_str())
    vocabulary: dict[str, int] = message["model"]["vocab"]
    for byte in range(256):
        vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)
    # SentencePiece merges any two neighbours that form a token, the earliest token first.
    message["model"]["merges"] = [
        [text[:at], text[at:]]
        for text in sorted(vocabulary, key=vocabulary.__getitem__)
        if not text.startswith("<")
        for at in range(1, len(text))
        if text[:at] in vocabulary and text[at:] in vocabulary
    ]
    message["decoder"] = {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    }
    return Tokenizer.from_str(json.dumps(message))


def true_logits(model: Any, tokens: list[int]) -> Any:
    """Return transformers' logits at every position."""
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].float().numpy()
