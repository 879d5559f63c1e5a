"""How much of what it was trained on a model repeats word for word.

    python benchmarks/verbatim.py MODEL.gguf --learnt TRAINED.rows --held HELD.rows [--count 400]

It is asked at places of rows that it learnt from, and of rows that it did not, and writes what it thinks
likeliest. Counted is what goes on as the original for so many characters, and what stands anywhere in what it
learnt.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.stepping import write
from jupyter_turbopilot.generation import Sampling, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

LENGTH = 144  # characters that are written, as a page does at most without being asked
AS_THE_ORIGINAL = (20, 40, 60)
ANYWHERE, STRIDE = 60, 20
# Lines of one sign, of numbers, or of nothing are nobody's.
WORDS = re.compile(r"[A-Za-z_]{2,}")
ENOUGH_WORDS = 4


class Place(NamedTuple):
    """A prompt, and what the original goes on with."""

    prompt: list[int]
    future: str


def places(rows: NDArray[np.uint8], engine: LlamaEngine, count: int) -> Iterator[Place]:
    """Choose places at which the original goes on for long enough."""
    middle, prefix = engine.vocabulary.markers.middle, engine.vocabulary.markers.prefix
    rng = random.Random(7)  # noqa: S311 - a reproducible choice
    numbers = list(range(len(rows)))
    rng.shuffle(numbers)
    for number in numbers:
        row = rows[number].tolist()
        marks = [at for at, token in enumerate(row) if token == middle]
        if not marks or count <= 0:
            continue
        at = rng.choice(marks)
        start = max((n for n, token in enumerate(row[:at]) if token == prefix), default=None)
        end = next((n for n in range(at + 1, len(row)) if row[n] in engine.ends), len(row))
        future = text_of(engine, row[at + 1 : end])
        if start is not None and len(future) >= max(AS_THE_ORIGINAL) and says_something(future):
            count -= 1
            yield Place(row[start : at + 1], future)


def text_of(engine: LlamaEngine, tokens: list[int]) -> str:
    """Return the text of tokens."""
    return b"".join(map(engine.vocabulary.piece, tokens)).decode("utf-8", "replace")


def says_something(text: str) -> bool:
    """Tell whether a text has words."""
    return len(set(WORDS.findall(text))) >= ENOUGH_WORDS


def shared(text: str, other: str) -> int:
    """Return how long two texts are the same."""
    return next((n for n, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), len(other))


def look(name: str, engine: LlamaEngine, rows: NDArray[np.uint8], learnt: bytes, count: int) -> None:
    """Write at places of some rows and print what came of it."""
    lengths, windows, found = [], 0, 0
    for prompt, future in places(rows, engine, count):
        tokens = list(write(engine, prompt, Sampling(LENGTH), Usage(), Cancel()))
        text = b"".join(token.data for token in tokens).decode("utf-8", "replace")
        lengths.append(shared(text, future))
        above = text_of(engine, prompt)  # what it repeats of that is the person's own
        for start in range(0, len(text) - ANYWHERE + 1, STRIDE):
            window = text[start : start + ANYWHERE]
            if says_something(window) and window not in above:
                windows += 1
                found += bytes(engine.vocabulary.tokenize(window)) in learnt
    if not lengths:
        sys.exit(f"{name}: in no place does the original go on in words for long enough. Give more rows.")
    shares = ", ".join(
        f"{n} characters {sum(length >= n for length in lengths) / len(lengths):.3f}" for n in AS_THE_ORIGINAL
    )
    print(f"{name}: as the original for {shares} of {len(lengths)} places; ", end="")
    print(f"anywhere in what was learnt: {found} of {windows} runs of {ANYWHERE} characters", flush=True)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument(
        "--learnt", type=Path, nargs="+", required=True, help="rows, as a training keeps them"
    )
    parser.add_argument("--held", type=Path, nargs="+", required=True)
    parser.add_argument("--count", type=int, default=400)
    options = parser.parse_args()
    kinds = [[np.load(path, mmap_mode="r") for path in paths] for paths in (options.learnt, options.held)]
    learnt = b"".join(rows.tobytes() for rows in kinds[0])
    with closing(LlamaEngine(options.model, name="characters", context_size=2048, threads=1)) as engine:
        for name, (first, *_) in zip(("learnt", "held out"), kinds, strict=True):
            look(name, engine, first, learnt, options.count)


if __name__ == "__main__":
    main()
