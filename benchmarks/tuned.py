"""What an adapter costs at each key: beside the model, in a copy of it, and not at all.

    python benchmarks/tuned.py --set notebooks.json.gz --adapter adapter.gguf [--requests 200]

The three take turns at the same cells, so that whatever else the machine does meets all of them.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from desk import Desk

from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.evaluate.traces import of_kind


@dataclass
class Cost:
    """What the requests of one way took."""

    ms: list[float] = field(default_factory=list)
    read_ms: float = 0.0
    read: int = 0
    wrote_ms: float = 0.0
    wrote: int = 0

    def row(self, name: str, plain: Cost) -> str:
        """Set it out beside what it costs without."""

        def beside(own: float, other: float) -> str:
            return f"{own:.1f} ({own / other:.3f})"

        key = beside(statistics.mean(self.ms), statistics.mean(plain.ms))
        reading = beside(self.read_ms / self.read, plain.read_ms / plain.read)
        writing = beside(self.wrote_ms / self.wrote, plain.wrote_ms / plain.wrote)
        return f"| {name} | {key} | {reading} | {writing} | {self.wrote / len(self.ms):.1f} |"


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--requests", type=int, default=200)
    options = parser.parse_args()
    desks = {
        "without": Desk(adapters=[], considerate=False),
        "beside the model": Desk(adapters=[options.adapter], fold_adapters=False, considerate=False),
        "in a copy": Desk(adapters=[options.adapter], considerate=False),
    }
    costs = {name: Cost() for name in desks}
    order = list(desks)
    for trace in of_kind(read(options.set)[1::2], "append", options.requests):
        order = [*order[1:], order[0]]
        for name in order:
            for step in trace.keystrokes:
                took, reply = desks[name].ask(step.request(trigger="automatic", client="typist"))
                cost, timings = costs[name], reply.timings
                cost.ms.append(took)
                cost.read_ms += timings.prompt_ms
                cost.read += timings.prompt_tokens - timings.cached_tokens
                # The prompt gave the first token.
                cost.wrote_ms += timings.predicted_ms
                cost.wrote += max(0, timings.predicted_tokens - 1)
    print(f"{len(costs['without'].ms)} requests each; in brackets: times what it takes without")
    print("| adapter | ms a key | ms a token read | ms a token written | tokens written a key |")
    print("| --- | --- | --- | --- | --- |")
    for name, cost in costs.items():
        print(cost.row(name, costs["without"]))


if __name__ == "__main__":
    main()
