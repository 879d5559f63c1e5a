"""`jupyter turbopilot eval`."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.evaluate import humaneval, report, traces, typist
from jupyter_turbopilot.evaluate.live import Live
from jupyter_turbopilot.shell.in_process import InProcess

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from jupyter_turbopilot.config import Turbopilot


def run(options: argparse.Namespace, settings: Turbopilot) -> int:
    """Type notebooks through the whole product, or fill in HumanEval; print what came of it."""
    settings.keep_sequences = False
    # On a clock, beside others, it is as considerate as it is for a person.
    settings.considerate = options.clock
    local = InProcess(settings)
    try:
        return _humaneval(options, local) if options.humaneval else _notebooks(options, local)
    finally:
        local.close()


def _humaneval(options: argparse.Namespace, local: InProcess) -> int:
    chosen = humaneval.tasks(humaneval.read(options.source), options.requests or sys.maxsize)
    found = humaneval.run(local, chosen, Progress("HumanEval", len(chosen)))
    count = max(1, found.tasks)
    print(f"{found.tasks} lines: {found.exact / count:.3f} exact, {found.passed / count:.3f} pass")
    return 0


def _notebooks(options: argparse.Namespace, local: InProcess) -> int:
    settings = local.pilot.settings
    notebooks = traces.read(options.source)
    if not notebooks:
        raise TurbopilotError(f"There are no notebooks with code in {options.source}.")
    if options.half != "all":
        notebooks = notebooks[options.half == "held-out" :: 2]
    found: dict[str, typist.Typed] = {}
    local.wait()
    for eagerness in options.eagerness:
        settings.eagerness = eagerness
        for kind in options.trace:
            chosen = traces.of_kind(notebooks, kind, options.requests, every=1 if options.clock else 4)
            name = f"{eagerness}, {kind}"
            if options.clock:
                beside = f" beside {options.busy} busy processes" if options.busy else ""
                name += f", {options.key} ms a key{beside}"
            tell = Progress(name, len(chosen))
            if options.kernel:
                with Live(options.kernel) as live:
                    knowing, unaware = typist.beside_a_kernel(local, chosen, tell, live)
                found |= {name + report.KNOWING: knowing, name + report.UNAWARE: unaware}
                for notebook, error in live.failed.items():
                    print(f"{notebook} does not run: {error}", file=sys.stderr)
            else:
                with keeping_busy(options.busy):
                    found[name] = (
                        typist.on_a_clock(local, chosen, tell, options.key / 1000)
                        if options.clock
                        else typist.by_steps(local, chosen, tell)
                    )
    ours = version("jupyter-turbopilot")
    head = f"{settings.model}, version {ours}, {len(notebooks)} notebooks of {options.source.name}."
    print(report.table(found))
    if options.report:
        for path in report.write(options.report, head, found):
            print(f"written: {path}")
    return 0


@contextmanager
def keeping_busy(count: int) -> Iterator[None]:
    """Let so many other processes compute for nothing meanwhile."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


class Progress:
    """Says on a terminal how far a long run is."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total, self._done = name, total, 0

    def __call__(self, _: str) -> None:
        """One more is done."""
        self._done += 1
        if sys.stderr.isatty():
            end = "\n" if self._done == self._total else ""
            print(f"\r{self._name}: {self._done} of {self._total}", end=end, file=sys.stderr, flush=True)
