"""Train the model of the browser tests: a tiny character-level Llama that has memorised a few lines."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import torch
from torch.nn import functional

from turbopilot_research.train.network import free, load, write_model
from turbopilot_research.train.scratch import TEXT, Shape, write_blank

SHAPE = Shape(width=64, layers=2, heads=2, length=1024)
LINES = [
    "def area(width, height):\n    return width * height",
    "def perimeter(width, height):\n    return 2 * (width + height)",
    "for row in rows:\n    print(row)",
    "import numpy as np\nimport pandas as pd",
]
END, PREFIX, SUFFIX, MIDDLE = range(len(TEXT), len(TEXT) + 4)
STEPS, BATCH, LENGTH = 1200, 16, 128


def sample(draw: random.Random) -> tuple[list[int], int]:
    """Split a text at random; return prompt and rest of the line, and the start of the rest."""
    text = "\n\n\n".join(draw.sample(LINES, draw.choice([1, 1, 2])))
    at = draw.randrange(len(text))
    middle = text[at:].split("\n", 1)[0]
    ids = [TEXT.index(ord(character)) for character in text[:at] + middle]
    # Like prompts of character-level models, the text before the cursor comes last, or before the suffix.
    prompt = draw.choice([[PREFIX, SUFFIX, MIDDLE, *ids[:at]], [PREFIX, *ids[:at], SUFFIX, MIDDLE]])
    return [*prompt, *ids[at:], END], len(prompt)


def batch(draw: random.Random) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows and target tokens (-100: no target)."""
    rows, targets = torch.zeros(BATCH, LENGTH, dtype=torch.long), torch.full((BATCH, LENGTH), -100)
    for row in range(BATCH):
        ids, start = sample(draw)
        ids, start = ids[-LENGTH:], start - max(0, len(ids) - LENGTH)
        rows[row, : len(ids)] = torch.tensor(ids)
        targets[row, start - 1 : len(ids) - 1] = rows[row, start : len(ids)]
    return rows, targets


def main(path: Path) -> None:
    """Train the model and write its weights into the file."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    draw = random.Random(1)  # noqa: S311 - no secret
    blank = write_blank(path.with_suffix(".blank"), SHAPE)
    network = load(blank, torch.device("cpu"), torch.float32)
    free(network)
    learner = torch.optim.AdamW(network.learnt().values(), lr=6e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(learner, 6e-3, STEPS)
    for step in range(STEPS):
        rows, targets = batch(draw)
        logits = network.model(input_ids=rows, use_cache=False).logits
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        learner.zero_grad()
        loss.backward()
        learner.step()
        schedule.step()
        if step % 50 == 0:
            print(step, f"{loss.item():.3f}", flush=True)
    write_model(network, blank, path)
    blank.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
