"""What live kernel facts are worth, on notebooks of other people that run without the network.

python benchmarks/gather.py FOLDER linearmodels==7.1 statsmodels==0.15.0
python benchmarks/live.py FOLDER [KERNEL]

The kernel needs linearmodels, statsmodels and matplotlib. Each cell is typed with the facts, with
the facts but without the filter of names that do not exist, and without facts.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from jupyter_turbopilot.completer import suggestion_task
from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.evaluate import notebooks, report, traces
from jupyter_turbopilot.evaluate.live import Live
from jupyter_turbopilot.evaluate.typist import TypingResult, type_one
from jupyter_turbopilot.shell.in_process import InProcess
from jupyter_turbopilot.suggestion.resolve import Scope

# Chosen before anything was measured: of each package the first six by name that run to their end without the
# network and hold a table by then.
NOTEBOOKS = (
    "linearmodels__examples__iv_absorbing-regression.ipynb",
    "linearmodels__examples__iv_advanced-examples.ipynb",
    "linearmodels__examples__iv_basic-examples.ipynb",
    "linearmodels__examples__iv_using-formulas.ipynb",
    "linearmodels__examples__panel_examples.ipynb",
    "linearmodels__examples__panel_using-formulas.ipynb",
    "statsmodels__examples__notebooks__arima_alternative_estimators_seasonal_differencing.ipynb",
    "statsmodels__examples__notebooks__chi2_fitting.ipynb",
    "statsmodels__examples__notebooks__count_hurdle.ipynb",
    "statsmodels__examples__notebooks__deterministics.ipynb",
    "statsmodels__examples__notebooks__discrete_choice_example.ipynb",
    "statsmodels__examples__notebooks__discrete_choice_overview.ipynb",
)
CELLS = 4  # of each notebook, spread evenly
UNFILTERED = "balanced, knowing the kernel, unfiltered"


def main() -> None:
    """Run, type, print."""
    if len(sys.argv) not in {2, 3}:
        sys.exit(__doc__)
    folder, kernel = Path(sys.argv[1]), (sys.argv[2:] or ["python3"])[0]
    settings = Turbopilot(keep_sequences=False, learning=False, considerate=False)
    local = InProcess(settings)
    local.wait()
    names = ("balanced" + report.KNOWING, "balanced" + report.UNAWARE, UNFILTERED)
    found = {name: TypingResult() for name in names}
    with Live(kernel) as live:
        for trace in chosen(folder):
            facts = live.facts(trace)
            type_one(local, trace, found[names[0]], facts, live)
            type_one(local, trace, found[names[1]], live=live)
            with patch.object(suggestion_task, "scope_of", lambda *_: Scope()):
                type_one(local, trace, found[names[2]], facts, live)
            print(f"{trace.name} {trace.keystrokes[0].active}", file=sys.stderr, flush=True)
        print(live.failed)
    print(report.table(found))
    local.close()


def chosen(folder: Path) -> list[traces.Trace]:
    """Take some cells of each notebook, in order."""
    read = {notebook.name: notebook for notebook in notebooks.read(folder)}
    missing = [name for name in NOTEBOOKS if name not in read]
    if missing:
        sys.exit(f"These notebooks are not in {folder}: {', '.join(missing)}")
    found = []
    for name in NOTEBOOKS:
        notebook = read[name]
        # The first cells import and fetch: there is nothing in the kernel yet.
        typed = [active for active in notebook.typed if active > notebook.typed[0]]
        typed = typed[:: max(1, len(typed) // CELLS)][:CELLS]
        found += traces.of_kind([replace(notebook, typed=tuple(typed))], "append", 0)
    return found


if __name__ == "__main__":
    main()
