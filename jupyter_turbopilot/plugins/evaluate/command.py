"""`jupyter turbopilot eval`: replay notebooks as if typed, or run HumanEval infilling."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.plugins.evaluate import notebooks as notebook_sets
from jupyter_turbopilot.plugins.evaluate import report, traces
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.suggestion.gate_fit import EAGERNESS
from jupyter_turbopilot.terminal.commands.command import add_model_and_engine
from jupyter_turbopilot.terminal.commands.progress import count_items
from jupyter_turbopilot.terminal.numeric_options import add_number, whole
from jupyter_turbopilot.util.files import count_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.plugins.evaluate.notebooks import TypedNotebook
    from jupyter_turbopilot.plugins.evaluate.replay import TypingResult
    from jupyter_turbopilot.plugins.evaluate.traces import Trace
    from jupyter_turbopilot.settings.config import Turbopilot
    from jupyter_turbopilot.terminal.in_process import InProcess

PATIENT = 300.0  # seconds: the time limit of a request that is not timed


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="SOURCE",
        type=Path,
        help="a notebook, a folder of notebooks, a prepared set, or HumanEval's wheel",
    )
    parser.add_argument(
        "--humaneval",
        action="store_true",
        help="complete single lines of HumanEval and run the generated programs",
    )
    parser.add_argument(
        "--half",
        choices=["all", "fitted", "held-out"],
        help="the half of the notebooks that the gate was fitted to, or the other one (all; with "
        "`--index siblings`: held-out)",
    )
    parser.add_argument(
        "--trace",
        choices=["append", "edit", "hop"],
        nargs="+",
        default=["append"],
        help="append: type whole cells; edit: type within finished cells; hop: alternate between two cells "
        "(append)",
    )
    add_number(
        parser, "--requests", whole(0, 10_000_000), 0, "approximate number of requests; 0: at every position"
    )
    parser.add_argument(
        "--eagerness",
        choices=EAGERNESS,
        nargs="+",
        default=["balanced"],
        help="the eagerness to evaluate (balanced)",
    )
    parser.add_argument(
        "--clock",
        action="store_true",
        help="type in real time: only suggestions shown before the next keystroke count",
    )
    add_number(
        parser,
        "--key-interval",
        whole(20, 60_000),
        200,
        "time between two keystrokes with --clock, in milliseconds",
        metavar="MS",
    )
    parser.add_argument(
        "--bursts",
        action="store_true",
        help="with --clock: type 80 to 120 ms per keystroke, with pauses of 0.6 to 2 s at the end of each "
        "line and of some words",
    )
    add_number(
        parser, "--busy", whole(0, 64), 0, "number of other processes that each keep a core busy", metavar="N"
    )
    parser.add_argument(
        "--kernel",
        nargs="?",
        const="python3",
        metavar="NAME",
        help="run the notebooks in this kernel, and compare with and without kernel context",
    )
    parser.add_argument(
        "--index",
        metavar="FOLDER",
        help="compare without and with a notebook index at the same precision. Indexed are the "
        "notebooks and source files of FOLDER, or with `siblings` the other notebooks with the same name "
        "up to `__`, except files that share half of their lines with the replayed notebook",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a Markdown file and plots")
    add_model_and_engine(parser)
    parser.set_defaults(execute=run)


def run(options: argparse.Namespace, settings: Turbopilot) -> int:
    """Replay notebooks, or run HumanEval infilling; print the results."""
    from jupyter_turbopilot.terminal.in_process import InProcess

    settings.keep_sequences = settings.learning = False
    settings.cache_file = ""
    # In real time, yield the CPU to other programs as for a user.
    settings.yield_cpu = options.clock
    if not options.clock:
        settings.deadline = PATIENT  # the results must not depend on the speed of the machine
    local = InProcess(settings)
    try:
        if options.humaneval:
            return _humaneval(options, local)
        return _with_index(options, local) if options.index else _notebooks(options, local)
    finally:
        local.close()


def _humaneval(options: argparse.Namespace, local: InProcess) -> int:
    from jupyter_turbopilot.plugins.evaluate import humaneval

    chosen = humaneval.problems(humaneval.read(options.source), options.requests or sys.maxsize)
    scored = humaneval.run(local, chosen, count_items("HumanEval", len(chosen)))
    lines = max(1, scored.problems)
    print(f"{scored.problems} lines: {scored.exact / lines:.3f} exact, {scored.passed / lines:.3f} pass")
    return 0


def _half(options: argparse.Namespace, notebooks: list[TypedNotebook]) -> list[TypedNotebook]:
    from jupyter_turbopilot.plugins.evaluate.index_gain import SIBLINGS

    half = options.half or ("held-out" if options.index == SIBLINGS else "all")
    if half == "all":
        return notebooks
    if len(notebooks) == 1:
        chosen = f"--half {half}" if options.half else f"--index {SIBLINGS}"
        raise BadRequestError(f"{chosen} needs at least two notebooks, but {options.source} has one.")
    return notebooks[half == "held-out" :: 2]


def _traces(notebooks: list[TypedNotebook], kind: str, options: argparse.Namespace) -> list[Trace]:
    chosen = traces.of_kind(notebooks, kind, options.requests, every=1 if options.clock else traces.EVERY)
    if not chosen:
        raise BadRequestError(f"{options.source} has no cells that are suitable for --trace {kind}.")
    return chosen


def _notebooks(options: argparse.Namespace, local: InProcess) -> int:
    from jupyter_turbopilot.plugins.evaluate import replay, report
    from jupyter_turbopilot.plugins.evaluate.live import Live

    if options.bursts and not options.clock:
        raise BadRequestError("--bursts needs --clock.")
    settings = local.pilot.settings
    rhythm = replay.bursts if options.bursts else replay.steady(options.key_interval / 1000)
    notebooks = _half(options, notebook_sets.read(options.source))
    results: dict[str, TypingResult] = {}
    local.wait()
    for eagerness in options.eagerness:
        settings.eagerness = eagerness
        for kind in options.trace:
            local.pilot.completer.results.clear()  # otherwise the next setting would find cached completions
            chosen = _traces(notebooks, kind, options)
            name = f"{eagerness}, {kind}"
            if options.clock:
                typing = "bursts" if options.bursts else f"{options.key_interval} ms per keystroke"
                beside = f" with {options.busy} busy processes" if options.busy else ""
                name += f", {typing}{beside}"
            tell = count_items(name, len(chosen))
            if options.kernel:
                with Live(options.kernel) as live:
                    knowing, unaware = replay.with_kernel(local, chosen, tell, live)
                results |= {name + report.WITH_CONTEXT: knowing, name + report.WITHOUT_CONTEXT: unaware}
                for notebook, error in live.failed.items():
                    print(f"{notebook} failed: {error}", file=sys.stderr)
            else:
                with keeping_busy(options.busy):
                    results[name] = (
                        replay.in_real_time(local, chosen, tell, rhythm)
                        if options.clock
                        else replay.by_keystrokes(local, chosen, tell)
                    )
    return _report(options, local, notebooks, results)


def _with_index(options: argparse.Namespace, local: InProcess) -> int:
    """Replay notebooks without and with a notebook index."""
    from jupyter_turbopilot.plugins.evaluate import index_gain, traces
    from jupyter_turbopilot.plugins.evaluate.index_gain import IndexShelf

    if options.clock or options.kernel:
        raise BadRequestError("--index cannot be combined with --clock or --kernel.")
    everything = notebook_sets.read(options.source)
    notebooks = _half(options, everything)
    results: dict[str, TypingResult] = {}
    gains = []
    with closing(IndexShelf(options.index or "", everything)) as shelf:
        local.wait()
        for eagerness in options.eagerness:
            local.pilot.settings.eagerness = eagerness
            for kind in options.trace:
                chosen = _traces(notebooks, kind, options)
                if kind == "append":  # do not index lines before they are typed
                    chosen = [*map(traces.from_the_top, chosen)]
                name = f"{eagerness}, {kind}"
                telling = partial(_progress, name, len(chosen))
                gain = index_gain.measure(local, chosen, eagerness, shelf.index_for, telling, _print_pass)
                results |= {f"{name}, {way}": typed for way, typed in gain.ways.items()}
                gains.append(f"{name}: {gain.summary}")
    return _report(options, local, notebooks, results, gains)


def _print_pass(way: str, typed: TypingResult, words: str) -> None:
    """Print the results of one pass: the whole run may take hours."""
    total = typed.total
    print(f"{way}: precision {total.precision:.3f}, saved {total.share_saved:.3f}. {words}", flush=True)


def _progress(name: str, total: int, way: str) -> Callable[[str], None]:
    return count_items(f"{name}, {way}", total)


def _report(
    options: argparse.Namespace,
    local: InProcess,
    notebooks: Sequence[TypedNotebook],
    results: dict[str, TypingResult],
    gains: Sequence[str] = (),
) -> int:
    """Print the results, and write a report if requested."""
    model, ours = local.pilot.settings.model, version("jupyter-turbopilot")
    head = f"{model}, version {ours}, {count_of(len(notebooks), 'notebook')} of {options.source.name}."
    print(report.table(results), *gains, sep="\n")
    if options.report:
        for path in report.write(options.report, "\n\n".join([head, *gains]), results):
            print(f"Written: {path}")
    return 0


@contextmanager
def keeping_busy(processes: int) -> Iterator[None]:
    """Keep some cores busy with other processes."""
    module = "jupyter_turbopilot.util.running.cleanup"
    code = f"from {module} import exit_with_parent\nexit_with_parent({os.getpid()})\nwhile True: pass"
    command = [sys.executable, "-P", "-c", code]
    others = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.communicate()
