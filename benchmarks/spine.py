"""What the spine costs: importing, loading the magics, cancelling, a keystroke.

python benchmarks/spine.py
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from desk import Desk

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.request import Cell, Completion

if TYPE_CHECKING:
    from jupyter_turbopilot.reply import Reply

CELL = """def moving_average(values, window):
    result = []
    for start in range(len(values) - window + 1):
        part = values[start : start + window]
        result.append(sum(part) / window)
    return result
"""


def program_ms(code: str, runs: int) -> float:
    """Return the median of what a snippet says it took, each time in a fresh interpreter."""
    program = f"import time; t = time.perf_counter()\n{code}\nprint((time.perf_counter() - t) * 1000)"
    took = []
    for _ in range(runs):
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        took.append(float(said.stdout.split()[-1]))
    return statistics.median(took)


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of all do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def typed(source: str, **more: Any) -> Completion:
    """Stand at the end of a cell."""
    return Completion(cells=[Cell(source=source)], offset=len(source), **more)


def cancel_ms(desk: Desk, count: int) -> list[float]:
    """Cancel at different moments of a long prompt; return how long the worker took to be free."""
    took = []
    for number in range(count):
        source = f"# {number}\n" + "".join(f"value_{n} = {n} * {number}\n" for n in range(300))
        job, replies = desk.begin(typed(source, trigger="invoke"))
        time.sleep(0.15 + 0.02 * number)
        begun = time.perf_counter()
        job.cancel.set("superseded")
        replies.last()
        took.append((time.perf_counter() - begun) * 1000)
    return took


def keystrokes(desk: Desk, every: int) -> list[Reply]:
    """Type a cell, asking after every few characters."""
    ends = range(4, len(CELL), every)
    return [desk.ask(typed(CELL[:end], trigger="automatic", client="typist"))[1] for end in ends]


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true", help="too little of everything for figures")
    small = parser.parse_args().small
    runs, cancels, every = (1, 3, 20) if small else (7, 40, 3)
    print(f"import jupyter_turbopilot      {program_ms('import jupyter_turbopilot', runs):7.1f} ms")
    load = (
        "from IPython.core.interactiveshell import InteractiveShell as S\n"
        "s = S.instance()\nt = time.perf_counter()\ns.run_line_magic('load_ext', 'jupyter_turbopilot')"
    )
    print(f"%load_ext jupyter_turbopilot   {program_ms(load, runs):7.1f} ms")
    desk = Desk(eagerness="always")
    print(f"model loaded after             {desk.load_ms:7.0f} ms")
    took = cancel_ms(desk, cancels)
    print(
        f"cancel during a prompt   p50   {percentile(took, 0.5):7.1f} ms, p95 {percentile(took, 0.95):.1f} ms"
    )
    replies = keystrokes(desk, every)
    total = [reply.timings.total_ms for reply in replies]
    evaluated = [reply.timings.prompt_tokens - reply.timings.cached_tokens for reply in replies]
    print(
        f"a keystroke, all shown   mean  {statistics.mean(total):7.0f} ms, "
        f"median {statistics.median(total):.0f}, p95 {percentile(total, 0.95):.0f}; "
        f"{statistics.mean(evaluated):.1f} tokens evaluated, "
        f"{statistics.mean(r.timings.predicted_tokens for r in replies):.1f} predicted"
    )
    desk.pilot.settings.eagerness = Turbopilot.eagerness.default_value
    total = [reply.timings.total_ms for reply in keystrokes(desk, every)]
    print(
        f"a keystroke, as released mean  {statistics.mean(total):7.0f} ms, "
        f"median {statistics.median(total):.0f}, p95 {percentile(total, 0.95):.0f}"
    )


if __name__ == "__main__":
    main()
