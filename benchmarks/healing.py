"""Does token healing pay? Cuts real lines after a space and elsewhere, completes them with and without.

    python benchmarks/healing.py --set notebooks.json.gz [--positions 150]

Prints, for each kind of place and each setting: exact lines, and exact lines among those that are shown.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

from jupyter_turbopilot.completer.waiting import Replies
from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.evaluate.notebooks import TypedNotebook, read
from jupyter_turbopilot.pilot.pilot import Pilot
from jupyter_turbopilot.request import Cell, Completion
from jupyter_turbopilot.server.describe import describe_health
from jupyter_turbopilot.suggestion.fit import DEFAULT, fit_for


def places(notebooks: list[TypedNotebook], kind: str, count: int) -> list[tuple[list[str], int, int, str]]:
    """Choose (cells, cell, offset, rest of the line): after indentation, after a space, or elsewhere."""
    rng = random.Random(7)  # noqa: S311 - a reproducible choice
    found = []
    while len(found) < count:
        notebook = rng.choice(notebooks)
        cells = [cell.source if cell.type == "code" else "" for cell in notebook.cells]
        cell = rng.choice(notebook.typed)
        source = cells[cell]
        offset = rng.randrange(1, max(2, len(source)))
        line = source[:offset].rpartition("\n")[2]
        rest = source[offset:].partition("\n")[0]
        here = "indent" if line and not line.strip() else "space" if line.endswith(" ") else "elsewhere"
        if here == kind and rest.strip() and not rest.startswith(" ") and (line.strip() or kind == "indent"):
            found.append((cells, cell, offset, rest))
    return found


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--positions", type=int, default=150)
    parser.add_argument("--kinds", nargs="+", default=["indent", "space", "elsewhere"])
    options = parser.parse_args()
    notebooks = read(options.set)
    # A short context: what is asked is how the end of the prompt is cut, not what stands before it.
    settings = Turbopilot(eagerness="always", prompt_tokens=256)
    pilot = Pilot(settings)
    threshold = fit_for(DEFAULT).thresholds[Turbopilot.eagerness.default_value]
    pilot.start()
    while describe_health(pilot)["phase"] == "loading":
        time.sleep(0.1)
    for kind in options.kinds:
        chosen = places(notebooks, kind, options.positions)
        for mode in (False, True):
            settings.token_healing = mode
            exact = shown = shown_exact = 0
            for cells, cell, offset, rest in chosen:
                body = [Cell(source=text) for text in cells[:cell]]
                body.append(
                    Cell(source=cells[cell][:offset] + "\n" + cells[cell][offset:].partition("\n")[2])
                )
                asked = Completion(
                    cells=body, active=cell, offset=offset, trigger="automatic", lines="single", max_tokens=32
                )
                replies = Replies()
                pilot.completer.submit(asked, replies.listen)
                items = replies.last().items
                item = items[0] if items else None
                right = item is not None and item.text.strip() == rest.strip()
                exact += right
                if item and item.confidence >= threshold:
                    shown += 1
                    shown_exact += right
            print(f"{kind:10} {mode!s:7} exact {exact}/{len(chosen)}  shown {shown}, right {shown_exact}")


if __name__ == "__main__":
    main()
