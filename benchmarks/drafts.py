"""Is a text the same with guesses as without? Where not, how close were the two best tokens?

python benchmarks/drafts.py --set notebooks.json.gz [--requests 1000]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.evaluate.traces import mixed
from jupyter_turbopilot.generation import Ask, Sampling, Usage
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.pilot.pilot import Pilot
from jupyter_turbopilot.prompt.formats import build_infill, form_for
from jupyter_turbopilot.raw_request import RawRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

TOKENS, LONGEST, NEAR = 16, 3000, 0.05


class Written(NamedTuple):
    """A text, how far the best token was ahead of the next at each place, and what it cost."""

    tokens: list[bytes]
    gaps: list[float]
    usage: Usage
    ms: float


class Watched(LlamaEngine):
    """Notes by how much the best token was ahead."""

    gaps: list[float]

    def logits(self, index):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, D102
        row = super().logits(index)
        best = np.partition(row, -2)[-2:]
        self.gaps.append(float(best.max() - best.min()))
        return row

    def write(self, prompt: Sequence[int], hint: Sequence[int]) -> Written:
        """Write one text."""
        self.gaps = []
        usage = Usage()
        begun = time.perf_counter()
        run = self.start(Ask(prompt, Sampling(max_tokens=TOKENS), usage, hint=hint))
        if run is None:
            raise RuntimeError("busy")
        while not run.done:
            self.step([run], Cancel())
        self.release(run)
        ms = (time.perf_counter() - begun) * 1000
        return Written([token.data for token in run.fresh], self.gaps, usage, ms)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args()
    path = Pilot(Turbopilot()).store.path(find("qwen2.5-coder-0.5b"))
    engine = Watched(path, name="default", context_size=4096, threads=2, cells=8192)
    form = form_for(engine.vocabulary.find_token, engine.vocabulary.markers)
    tokenize = engine.vocabulary.tokenize
    steps = [s for trace in mixed(read(options.set), options.requests * 2) for s in trace.keystrokes]
    steps = [step for step in steps if len(step.prefix) < LONGEST][: options.requests]
    differ = decided = again = guessed = right = 0
    spent = {True: 0.0, False: 0.0}
    widest = 0.0
    for step in steps:
        asked = RawRequest(step.prefix, step.suffix, window=True)
        prompt = build_infill(form, tokenize, tokenize, asked, 4096, TOKENS).tokens
        engine.drafts = False
        engine.write(prompt, ())  # the prompt is read: all three find it in the cache alike
        plain = engine.write(prompt, ())
        second = engine.write(prompt, ())
        engine.drafts = True
        drafted = engine.write(prompt, ())
        spent[False] += second.ms
        spent[True] += drafted.ms
        guessed += drafted.usage.drafted_tokens
        right += drafted.usage.accepted_tokens
        again += plain.tokens != second.tokens
        if plain.tokens != drafted.tokens:
            differ += 1
            at = next(
                (n for n, (a, b) in enumerate(zip(plain.tokens, drafted.tokens, strict=False)) if a != b),
                min(len(plain.tokens), len(drafted.tokens)),
            )
            gap = plain.gaps[at] if at < len(plain.gaps) else 0.0
            widest = max(widest, gap)
            decided += gap > NEAR
    print(f"{len(steps)} texts; without guesses twice: {again} differ; with and without: {differ} differ, ")
    print(f"of which {decided} where the best was more than {NEAR} ahead (at most {widest:.2f})")
    print(f"guessed {guessed}, right {right}; without {spent[False]:.0f} ms, with {spent[True]:.0f} ms")
    engine.close()


if __name__ == "__main__":
    main()
