"""Tiny random checkpoints that transformers loads and that write only tokens of their vocabulary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.models.convert import families

MARKERS = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


def write(folder: Path, family: str = "qwen2", **changed: Any) -> Path:
    """Write a checkpoint; those with fill-in-the-middle markers list them as ordinary tokens, as Qwen does."""
    model = families.make(family, folder, **changed)
    path = folder / "tokenizer.json"
    tokenizer = families.Tokenizer.from_file(str(path))
    tokenizer.add_tokens(list(MARKERS))
    path.write_text(tokenizer.to_str())
    # Rows that no token has would be written by a random model, and by no trained one.
    head = model.get_output_embeddings()
    head.weight.data[tokenizer.get_vocab_size() :] = 0
    model.save_pretrained(folder)
    return folder


def change(folder: Path, name: str, **values: Any) -> None:
    """Change settings in one of a checkpoint's files."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
