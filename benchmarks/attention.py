"""What a batch costs on the CPU with flash attention and without, by its size and the prompt before it.

python benchmarks/attention.py

Two engines with the default model take turns, so that both meet the same machine.
"""

from __future__ import annotations

import statistics
import time

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.engine.batch_sizes import CHUNK
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load.plan import Hardware
from jupyter_turbopilot.engine.moves import Truncate
from jupyter_turbopilot.engine.step_run import BatchToken
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.pilot.pilot import Pilot

PROMPTS = (200, 500, 1000, 2000)
SIZES = (1, 2, 4, 8, 16)
TIMES = 15
SEQUENCE = 0
CELLS = 4096


class Fused(Hardware):
    """The same settings with flash attention."""

    fused_attention = True


def rows(start: int, count: int) -> list[BatchToken]:
    """Return a batch of so many tokens; which ones does not matter."""
    return [
        BatchToken(SEQUENCE, place, 1000 + place * 37 % 5000, output=place == start + count - 1)
        for place in range(start, start + count)
    ]


def timed(engine: LlamaEngine, start: int, count: int) -> float:
    """Compute a batch and return the milliseconds it took."""
    begun = time.perf_counter()
    engine.evaluate(rows(start, count), None)
    return (time.perf_counter() - begun) * 1000


def main() -> None:
    """Run."""
    path = Pilot(Turbopilot()).store.path(find("qwen2.5-coder-0.5b"))
    kinds = {"flash": Fused(), "plain": Hardware()}
    engines = {
        name: LlamaEngine(path, name=name, context_size=CELLS, threads=2, cells=CELLS, hardware=hardware)
        for name, hardware in kinds.items()
    }
    reading = dict.fromkeys(kinds, 0.0)
    read = 0
    print("tokens in the cache, batch: ms with flash attention, without, ratio")
    for prompt in PROMPTS:
        while read < prompt:
            count = min(CHUNK, prompt - read)
            for name, engine in engines.items():
                reading[name] += timed(engine, read, count)
            read += count
        for size in SIZES:
            found: dict[str, list[float]] = {name: [] for name in kinds}
            for _ in range(TIMES):
                for name, engine in engines.items():
                    found[name].append(timed(engine, prompt, size))
                    engine.apply([Truncate(SEQUENCE, prompt)])
            flash, plain = (statistics.median(found[name]) for name in kinds)
            print(f"{prompt:5}, {size:2}: {flash:6.1f} {plain:6.1f} {plain / flash:.2f}", flush=True)
        both = ", ".join(f"{name} {ms:.0f} ms" for name, ms in reading.items())
        print(f"{prompt:5} tokens read in pieces of {CHUNK}: {both}", flush=True)
    for engine in engines.values():
        engine.close()


if __name__ == "__main__":
    main()
