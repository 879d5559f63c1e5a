"""How often the line that is being written is completed exactly, with an adapter and without.

    python benchmarks/exact.py --set notebooks.json.gz [--adapter default] [--places 1500]

On the half of the notebooks that the gate was not fitted to. Of the lines with others below them, a third
is asked for with these there, as within a finished cell.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.evaluate.lines import ExactLines, complete, gain, places
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.shell.in_process import InProcess


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--adapter", default="default")
    parser.add_argument("--places", type=int, default=1500)
    options = parser.parse_args()
    notebooks = read(options.set)[1::2]
    chosen = places(notebooks, options.places)
    found: list[ExactLines] = []
    for adapters in ([], [options.adapter]):
        settings = Turbopilot(adapters=adapters, keep_sequences=False, learning=False, considerate=False)
        with closing(InProcess(settings)) as local:
            found.append(complete(local, notebooks, chosen, lambda name: print(name, file=sys.stderr)))
    print("all:", gain(*found).words)
    for name, within in (("at the end of what is written:", False), ("within finished cells:", True)):
        print(name, gain(*(one.of(within=within) for one in found)).words)


if __name__ == "__main__":
    main()
