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
from jupyter_turbopilot.plugins.evaluate import report, result_file, traces
from jupyter_turbopilot.plugins.evaluate.result_file import Made
from jupyter_turbopilot.plugins.evaluate.sources import API_KEY, OwnSource, UrlSource, public
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.suggestion.gate_fit import EAGERNESS
from jupyter_turbopilot.terminal.commands.command import add_model_and_engine
from jupyter_turbopilot.terminal.commands.progress import count_items
from jupyter_turbopilot.terminal.numeric_options import add_number, whole
from jupyter_turbopilot.util.files import count_of
from jupyter_turbopilot.util.parent_process import exit_with_parent

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.plugins.evaluate.live import Live
    from jupyter_turbopilot.plugins.evaluate.notebooks import TypedNotebook
    from jupyter_turbopilot.plugins.evaluate.replay import TypingResult
    from jupyter_turbopilot.plugins.evaluate.sources import Source
    from jupyter_turbopilot.plugins.evaluate.traces import Trace
    from jupyter_turbopilot.settings.config import Turbopilot
    from jupyter_turbopilot.terminal.in_process import InProcess

KEY_INTERVAL = 200  # milliseconds
PATIENT = 300.0  # seconds: the time limit of a request that is not timed
# The options that a result file contains, and the others.
_RECORDED = {
    "half", "trace", "requests", "eagerness", "engine", "template", "accept", "clock", "key_interval",
    "bursts", "busy", "kernel", "index",
}  # fmt: skip
_OPTIONS = _RECORDED | {"notebooks", "source", "model", "report", "json", "schema", "compare", "humaneval"}
# For each option, the options that have no effect with it.
_EXCLUDED = {
    "schema": _OPTIONS,
    "compare": _OPTIONS - {"report"},
    "humaneval": _OPTIONS - {"notebooks", "requests", "model", "engine"},
    "index": {"source", "accept", "clock", "kernel"},
    "kernel": {"source"},
    "source": {"eagerness", "engine"},
    "clock": {"trace"},
    "bursts": {"key_interval"},
}
_NEEDED = {"template": "source", "bursts": "clock", "busy": "clock", "key_interval": "clock"}


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "notebooks",
        metavar="NOTEBOOKS",
        nargs="?",
        type=Path,
        help="a notebook, a folder of notebooks, a prepared set, or HumanEval's wheel",
    )
    parser.add_argument(
        "--source",
        metavar="URL",
        help="measure a server instead of the engine in this process. The end of the URL selects the "
        "protocol: `/infill` (llama.cpp), `/v1/completions` (OpenAI) or `/api/generate` (Ollama). `--model` "
        f"names its model, the environment variable `{API_KEY}` contains its key",
    )
    parser.add_argument(
        "--template",
        default="",
        help="prompt for --source with `{prefix}` and `{suffix}`, except for `/infill`; default: the server "
        "builds it",
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
        help="append: type whole cells; edit: type within finished cells; hop: alternate between two cells "
        "(append)",
    )
    parser.add_argument(
        "--accept",
        choices=["line", "word"],
        help="line: accept the correct first lines of a suggestion; word: also the correct first words of a "
        "wrong line (line)",
    )
    add_number(
        parser, "--requests", whole(0, 10_000_000), 0, "approximate number of requests; 0: at every position"
    )
    parser.add_argument(
        "--eagerness",
        choices=EAGERNESS,
        nargs="+",
        help="the eagerness to evaluate (balanced)",
    )
    parser.add_argument(
        "--clock",
        action="store_true",
        help="type whole cells in real time: only suggestions shown before the next keystroke count",
    )
    parser.add_argument(
        "--key-interval",
        type=whole(20, 60_000),
        metavar="MS",
        help=f"time between two keystrokes with --clock, in milliseconds ({KEY_INTERVAL})",
    )
    parser.add_argument(
        "--bursts",
        action="store_true",
        help="with --clock: type 80 to 120 ms per keystroke, with pauses of 0.6 to 2 s at the end of each "
        "line and of some words",
    )
    add_number(
        parser,
        "--busy",
        whole(0, 64),
        0,
        "with --clock: number of other processes that each keep a core busy",
        metavar="N",
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts, for --compare")
    parser.add_argument(
        "--compare", type=Path, nargs="+", metavar="FILE", help="compare the files of --json; replay nothing"
    )
    parser.add_argument(
        "--schema", action="store_true", help="print the JSON schema of the files of --json; replay nothing"
    )
    add_model_and_engine(parser)
    parser.set_defaults(execute=run)


def run(options: argparse.Namespace, settings: Turbopilot) -> int:
    """Replay notebooks, or run HumanEval infilling; print the results."""
    from jupyter_turbopilot.terminal.in_process import InProcess

    _refuse_unused(options)
    if options.schema:
        print(result_file.schema().decode())
        return 0
    if options.compare:
        return _print(options, *result_file.compare(options.compare))
    if not options.notebooks:
        raise BadRequestError("Pass notebooks to replay, or --compare.")
    options.trace, options.accept = options.trace or ["append"], options.accept or "line"
    if not options.source:
        options.eagerness = options.eagerness or ["balanced"]
    if options.clock and not options.bursts:
        options.key_interval = options.key_interval or KEY_INTERVAL
    settings.keep_sequences = False
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


def _refuse_unused(options: argparse.Namespace) -> None:
    """Raise an error if an option has no effect beside the others."""
    given_options = {name for name in _OPTIONS if getattr(options, name)}
    for name, excluded in _EXCLUDED.items():
        if name in given_options and (unused := given_options & excluded - {name}):
            raise BadRequestError(f"{_flag(name)} excludes {', '.join(map(_flag, sorted(unused)))}.")
    for name, other in _NEEDED.items():
        if name in given_options and other not in given_options:
            raise BadRequestError(f"{_flag(name)} needs {_flag(other)}.")


def _flag(name: str) -> str:
    return "NOTEBOOKS" if name == "notebooks" else f"--{name.replace('_', '-')}"


def _humaneval(options: argparse.Namespace, local: InProcess) -> int:
    from jupyter_turbopilot.plugins.evaluate import humaneval

    chosen = humaneval.problems(humaneval.read(options.notebooks), options.requests or sys.maxsize)
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
        raise BadRequestError(f"{chosen} needs at least two notebooks, but {options.notebooks} has one.")
    return notebooks[half == "held-out" :: 2]


def _traces(notebooks: list[TypedNotebook], kind: str, options: argparse.Namespace) -> list[Trace]:
    chosen = traces.of_kind(notebooks, kind, options.requests, every=1 if options.clock else traces.EVERY)
    if not chosen:
        raise BadRequestError(f"{options.notebooks} has no cells that are suitable for --trace {kind}.")
    if options.kernel:  # runs the cells of a notebook in their order
        chosen.sort(key=lambda trace: (trace.name, trace.keystrokes[0].active))
    return chosen


def _notebooks(options: argparse.Namespace, local: InProcess) -> int:
    from jupyter_turbopilot.plugins.evaluate import replay

    notebooks = _half(options, notebook_sets.read(options.notebooks))
    by_word = options.accept == "word"
    results: dict[str, TypingResult] = {}
    for way, source in _sources(options, local):
        for kind in options.trace:
            local.pilot.completer.results.clear()  # otherwise the next setting would find cached completions
            chosen = _traces(notebooks, kind, options)
            name = f"{way}, {kind}" + (", by word" if by_word else "")
            if options.clock:
                results |= _in_real_time(options, local, source, chosen, name)
                continue
            tell = count_items(name, len(chosen))
            with _kernel(options) as live:
                if live:
                    knowing, unaware = replay.with_kernel(local, chosen, tell, live, by_word=by_word)
                    results |= {name + report.WITH_CONTEXT: knowing, name + report.WITHOUT_CONTEXT: unaware}
                else:
                    results[name] = replay.by_keystrokes(source, chosen, tell, by_word=by_word)
    return _report(options, local, notebooks, results)


def _in_real_time(
    options: argparse.Namespace, local: InProcess, source: Source, chosen: list[Trace], name: str
) -> dict[str, TypingResult]:
    """Replay in real time; with a kernel twice, so that it runs the cells in both cases."""
    from jupyter_turbopilot.plugins.evaluate import replay

    name += ", bursts" if options.bursts else f", {options.key_interval} ms per keystroke"
    name += f" with {options.busy} busy processes" if options.busy else ""
    results: dict[str, TypingResult] = {}
    with keeping_busy(options.busy):
        for context in (report.WITH_CONTEXT, report.WITHOUT_CONTEXT) if options.kernel else ("",):
            local.pilot.completer.results.clear()
            tell = count_items(name + context, len(chosen))
            rhythm = replay.bursts() if options.bursts else replay.steady(options.key_interval / 1000)
            with _kernel(options, is_queried=context == report.WITH_CONTEXT) as live:
                results[name + context] = replay.in_real_time(
                    source, chosen, tell, rhythm, by_word=options.accept == "word", live=live
                )
    return results


@contextmanager
def _kernel(options: argparse.Namespace, *, is_queried: bool = True) -> Iterator[Live | None]:
    """Provide the kernel of `--kernel`, and print the errors of its cells."""
    from jupyter_turbopilot.plugins.evaluate.live import Live

    if not options.kernel:
        yield None
        return
    with Live(options.kernel, is_queried=is_queried) as live:
        yield live
    for notebook, error in live.failed.items():
        print(f"{notebook} failed: {error}", file=sys.stderr)


def _sources(options: argparse.Namespace, local: InProcess) -> Iterator[tuple[str, Source]]:
    """Iterate over the source at a URL, or the engine in this process with each eagerness."""
    if options.source:
        key = os.environ.get(API_KEY, "")
        with UrlSource(options.source, options.model or "", options.template, key) as source:
            yield source.name, source
        return
    local.wait()
    for eagerness in options.eagerness:
        local.pilot.settings.eagerness = eagerness
        yield eagerness, OwnSource(local)


def _with_index(options: argparse.Namespace, local: InProcess) -> int:
    """Replay notebooks without and with a notebook index."""
    from jupyter_turbopilot.plugins.evaluate import index_gain, traces
    from jupyter_turbopilot.plugins.evaluate.index_gain import IndexShelf

    everything = notebook_sets.read(options.notebooks)
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
    """Print the results, and write them to files if requested."""
    settings, ours = local.pilot.settings, version("jupyter-turbopilot")
    source = public(options.source) if options.source else settings.engine
    model = (options.model or "") if options.source else settings.model
    count, name = count_of(len(notebooks), "notebook"), options.notebooks.name
    described = ", ".join(filter(None, (source, model, f"version {ours}", f"{count} of {name}")))
    code = _print(options, "\n\n".join([f"{described}.", *gains]), results)
    if options.json:  # after the results are printed: it may not be writable
        effective = {key: value for key in sorted(_RECORDED) if (value := getattr(options, key))}
        result_file.write(options.json, Made(source, model, name, effective), notebooks, results)
    return code


def _print(options: argparse.Namespace, head: str, results: dict[str, TypingResult]) -> int:
    """Print the results, and write a report if requested."""
    print(head, report.table(results), sep="\n\n")
    if options.report:
        for path in report.write(options.report, head, results):
            print(f"Written: {path}")
    return 0


@contextmanager
def keeping_busy(processes: int) -> Iterator[None]:
    """Keep some cores busy with other processes."""
    module = exit_with_parent.__module__
    code = f"from {module} import exit_with_parent\nexit_with_parent({os.getpid()})\nwhile True: pass"
    command = [sys.executable, "-P", "-c", code]
    others = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.communicate()
