"""Train the model of the browser tests: a tiny Llama of characters that knows a few lines by heart."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader
from torch.nn import functional

from jupyter_turbopilot.training.scratch import TEXT, Shape, write_blank

SHAPE = Shape(width=64, layers=2, heads=2, length=1024)
LINES = [
    "def area(width, height):\n    return width * height",
    "def perimeter(width, height):\n    return 2 * (width + height)",
    "for row in rows:\n    print(row)",
    "import numpy as np\nimport pandas as pd",
]
END, PREFIX, SUFFIX, MIDDLE = range(len(TEXT), len(TEXT) + 4)
STEPS, BATCH, LENGTH = 450, 16, 96


def sample(draw: random.Random) -> tuple[list[int], int]:
    """Cut a text somewhere; return the prompt and the rest of the line, and where that begins."""
    text = "\n\n\n".join(draw.sample(LINES, draw.choice([1, 1, 2])))
    at = draw.randrange(len(text))
    middle = text[at:].split("\n", 1)[0]
    ids = [TEXT.index(ord(character)) for character in text[:at] + middle]
    prompt = [PREFIX, *ids[:at], SUFFIX, MIDDLE]
    return [*prompt, *ids[at:], END], len(prompt)


def batch(draw: random.Random) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows, and what follows each token where that is to be learnt (-100: nothing)."""
    rows, targets = torch.zeros(BATCH, LENGTH, dtype=torch.long), torch.full((BATCH, LENGTH), -100)
    for row in range(BATCH):
        ids, start = sample(draw)
        ids, start = ids[-LENGTH:], start - max(0, len(ids) - LENGTH)
        rows[row, : len(ids)] = torch.tensor(ids)
        targets[row, start - 1 : len(ids) - 1] = rows[row, start : len(ids)]
    return rows, targets


def turned(x: torch.Tensor) -> torch.Tensor:
    """Turn pairs of neighbours by their position."""
    size = x.shape[-1]
    speeds = 10000 ** (-torch.arange(0, size, 2) / size)
    angles = torch.arange(x.shape[-2])[:, None] * speeds
    even, odd = x[..., 0::2], x[..., 1::2]
    pairs = (even * angles.cos() - odd * angles.sin(), even * angles.sin() + odd * angles.cos())
    return torch.stack(pairs, -1).flatten(-2)


def logits(weights: dict[str, torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
    """Llama."""
    norm = lambda x, name: functional.rms_norm(x, x.shape[-1:], weights[name], 1e-5)  # noqa: E731
    x = weights["token_embd.weight"][rows]
    for layer in range(SHAPE.layers):
        w = {name.split(".")[2]: value for name, value in weights.items() if name.startswith(f"blk.{layer}.")}
        y = norm(x, f"blk.{layer}.attn_norm.weight")
        heads = [(y @ w[f"attn_{part}"].T).unflatten(-1, (SHAPE.heads, -1)).transpose(1, 2) for part in "qkv"]
        query, key, value = turned(heads[0]), turned(heads[1]), heads[2]
        y = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + y.transpose(1, 2).flatten(-2) @ w["attn_output"].T
        y = norm(x, f"blk.{layer}.ffn_norm.weight")
        x = x + (functional.silu(y @ w["ffn_gate"].T) * (y @ w["ffn_up"].T)) @ w["ffn_down"].T
    return norm(x, "output_norm.weight") @ weights["token_embd.weight"].T


def main(path: Path) -> None:
    """Train, and write the weights into the file."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    draw = random.Random(1)  # noqa: S311 - no secret
    tensors = {tensor.name: tensor for tensor in GGUFReader(write_blank(path, SHAPE), "r+").tensors}
    weights = {
        name: torch.tensor(np.array(tensor.data, np.float32), requires_grad=True)
        for name, tensor in tensors.items()
    }
    learner = torch.optim.AdamW(weights.values(), lr=6e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(learner, 6e-3, STEPS)
    for step in range(STEPS):
        rows, targets = batch(draw)
        loss = functional.cross_entropy(logits(weights, rows).flatten(0, 1), targets.flatten())
        learner.zero_grad()
        loss.backward()
        learner.step()
        schedule.step()
        if step % 50 == 0:
            print(step, f"{loss.item():.3f}", flush=True)
    for name, tensor in tensors.items():
        tensor.data[:] = weights[name].detach().numpy().astype(tensor.data.dtype)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
