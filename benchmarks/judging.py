"""What trimming and the gate cost for one suggestion.

python benchmarks/judging.py --set notebooks.json.gz places.jsonl    (places: scripts/fit_gate.py collect)
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from jupyter_turbopilot.context.facts import NONE
from jupyter_turbopilot.context.notebook import gather
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.evaluate.traces import request_at
from jupyter_turbopilot.generation import Token
from jupyter_turbopilot.suggestion.features import cursor_features
from jupyter_turbopilot.suggestion.fit import DEFAULT, fit_for
from jupyter_turbopilot.suggestion.gate import Gate
from jupyter_turbopilot.suggestion.names import Names, scope_of
from jupyter_turbopilot.suggestion.surroundings import surroundings_of
from jupyter_turbopilot.suggestion.writing import Suggestion


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("places", type=Path)
    options = parser.parse_args()
    notebooks = read(options.set)
    took = []
    for line in map(json.loads, options.places.open()):
        request = request_at(notebooks[line["notebook"]], line["cell"], line["place"])
        pieces = gather(request).pieces
        tokens = [Token(data.encode("latin-1"), probability) for data, probability in line["tokens"]]
        begun = time.perf_counter()
        scope = scope_of(request, NONE)
        surroundings = surroundings_of(request.prefix, request.suffix)
        gate = Gate(
            cursor_features(request.prefix, request.suffix, pieces),
            fit_for(DEFAULT).thresholds["balanced"],
            Names(request, scope).fit,
        )
        writing = Suggestion(surroundings, gate, unasked=True)
        for token in tokens:
            writing.take([token])
            if writing.done:
                break
        writing.finish(whole=line["ended"])
        took.append((time.perf_counter() - begun) * 1000)
    took.sort()
    mean, p95 = statistics.mean(took), took[int(len(took) * 0.95)]
    print(f"{len(took)} suggestions: mean {mean:.2f} ms, p95 {p95:.2f}, most {took[-1]:.1f}")


if __name__ == "__main__":
    main()
