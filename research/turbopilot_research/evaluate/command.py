"""`jupyter turbopilot eval`: replay notebooks as if typed."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing, contextmanager
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.suggestion.scores import EAGERNESS
from jupyter_turbopilot.terminal.commands.command import add_model_and_engine
from jupyter_turbopilot.terminal.commands.progress import Bar
from jupyter_turbopilot.terminal.numeric_options import add_number, whole
from jupyter_turbopilot.util.files import count_of
from jupyter_turbopilot.util.threads import exit_with_parent
from turbopilot_research.evaluate import notebooks as notebook_sets
from turbopilot_research.evaluate import report, result_file, speed, traces
from turbopilot_research.evaluate.result_file import Made
from turbopilot_research.evaluate.sources import API_KEY, OwnSource, UrlSource, public

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.settings.config import Turbopilot
    from jupyter_turbopilot.terminal.in_process import InProcess
    from turbopilot_research.evaluate.live import Live
    from turbopilot_research.evaluate.notebooks import TypedNotebook
    from turbopilot_research.evaluate.replay import TypingResult
    from turbopilot_research.evaluate.sources import Source
    from turbopilot_research.evaluate.traces import Trace

KEY_INTERVAL = 200  # milliseconds
PATIENT = 300.0  # seconds: the time limit of a request that is not timed
_ABSENT = {"source": "", "index": "", "kernel": None, "clock": None}  # options that some actions lack
# The options that a result file contains.
_RECORDED = (
    "half", "sample", "trace", "requests", "eagerness", "engine", "template", "clock", "busy", "kernel",
    "index",
)  # fmt: skip


def declare(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="ACTION")

    def add(
        name: str, run: Callable[[argparse.Namespace, Turbopilot], int], text: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(execute=run, **_ABSENT)
        return command

    command = add("notebooks", _in_process(_notebooks), "replay notebooks with the engine in this process")
    _add_notebooks(command)
    _add_typing(command)
    _add_engine(command)
    command.add_argument(
        "--kernel",
        nargs="?",
        const="python3",
        metavar="NAME",
        help="run the notebooks in this kernel, and compare with and without kernel context; the cells of a "
        "folder run there and may change its files",
    )
    command = add("server", _in_process(_notebooks), "replay notebooks with a server")
    command.add_argument(
        "source",
        metavar="URL",
        help="the end of the URL selects the protocol: `/infill` (llama.cpp), `/v1/completions` (OpenAI) or "
        f"`/api/generate` (Ollama). The environment variable `{API_KEY}` contains its key",
    )
    _add_notebooks(command)
    _add_typing(command)
    command.add_argument(
        "--template",
        default="",
        help="prompt with `{prefix}` and `{suffix}`, except for `/infill`; default: the server builds it",
    )
    command.add_argument("-m", "--model", help="the model of the server")
    command = add("index", _in_process(_with_index), "compare with and without a notebook index")
    command.add_argument(
        "index",
        metavar="FOLDER",
        help="index its notebooks and source files, or with `siblings` the other notebooks with the same "
        "name up to `__`, except files that share half of their lines with the replayed notebook",
    )
    _add_notebooks(command)
    _add_typing(command)
    _add_engine(command)
    speed.declare(
        add("speed", speed.run, "measure prompt evaluation and generation by threads and batch size")
    )
    command = add("compare", run_compare, "compare the files of --json")
    command.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a file of --json")
    _add_report(command)


def _add_notebooks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "notebooks",
        metavar="NOTEBOOKS",
        type=Path,
        help="a notebook, a folder of notebooks, or a prepared set",
    )
    parser.add_argument(
        "--half",
        choices=["all", "fitted", "held-out"],
        help="the half of the notebooks that the gate was fitted to, or the other one (all; with "
        "`index siblings`: held-out)",
    )
    text = "type one cell each of this many notebooks, drawn at random, the same each time; 0: all cells"
    add_number(parser, "--sample", whole(0, 100_000), 0, text)
    text = "approximate number of requests; 0: at every position"
    add_number(parser, "--requests", whole(0, 10_000_000), 0, text)
    _add_report(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts, for `eval compare`")


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a Markdown file and plots")


def _add_trace(parser: Any) -> None:
    parser.add_argument(
        "--trace",
        choices=["append", "edit", "hop"],
        nargs="+",
        default=["append"],
        help="append: type whole cells; edit: type within finished cells; hop: alternate between two cells "
        "(append)",
    )


def _add_typing(parser: argparse.ArgumentParser) -> None:
    ways = parser.add_mutually_exclusive_group()
    _add_trace(ways)
    ways.add_argument(
        "--clock",
        nargs="?",
        type=whole(20, 60_000),
        const=KEY_INTERVAL,
        metavar="MS",
        help="type whole cells in real time: only suggestions shown before the next keystroke count. MS: "
        f"milliseconds between two keystrokes ({KEY_INTERVAL})",
    )
    text = "number of other processes that each keep a core busy"
    add_number(parser, "--busy", whole(0, 64), 0, text)


def _add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--eagerness",
        choices=EAGERNESS,
        nargs="+",
        default=["balanced"],
        help="the eagerness to evaluate (balanced)",
    )
    add_model_and_engine(parser)


def _in_process(
    work: Callable[[argparse.Namespace, InProcess], int],
) -> Callable[[argparse.Namespace, Turbopilot], int]:
    """Return an action that evaluates with an engine in this process."""

    def run(options: argparse.Namespace, settings: Turbopilot) -> int:
        from jupyter_turbopilot.terminal.in_process import InProcess

        settings.keep_sequences = False
        settings.cache_file = ""
        # In real time, yield the CPU to other programs as for a user.
        settings.yield_cpu = options.clock is not None
        if options.clock is None:
            settings.deadline = PATIENT  # the results must not depend on the speed of the machine
        local = InProcess(settings)
        try:
            return work(options, local)
        finally:
            local.close()

    return run


def run_compare(options: argparse.Namespace, _: Turbopilot) -> int:
    return _print(options, *result_file.compare(options.files))


def _selected(options: argparse.Namespace, notebooks: list[TypedNotebook]) -> list[TypedNotebook]:
    """Return the notebooks of `--half`, or the sample of them."""
    from turbopilot_research.evaluate.index_shelf import SIBLINGS

    half = options.half or ("held-out" if options.index == SIBLINGS else "all")
    if half != "all":
        if len(notebooks) == 1:
            chosen = f"--half {half}" if options.half else f"`index {SIBLINGS}`"
            raise BadRequestError(f"{chosen} needs at least two notebooks, but {options.notebooks} has one.")
        notebooks = notebooks[half == "held-out" :: 2]
    return notebook_sets.sample(notebooks, options.sample) if options.sample else notebooks


def _traces(notebooks: list[TypedNotebook], kind: str, options: argparse.Namespace) -> list[Trace]:
    chosen = traces.of_kind(notebooks, kind, options.requests, every=1 if options.clock else traces.EVERY)
    if not chosen:
        raise BadRequestError(f"{options.notebooks} has no cells that are suitable for --trace {kind}.")
    if options.kernel:  # runs the cells of a notebook in their order
        chosen.sort(key=lambda trace: (trace.name, trace.keystrokes[0].active))
    return chosen


def _notebooks(options: argparse.Namespace, local: InProcess) -> int:
    notebooks = _selected(options, notebook_sets.read(options.notebooks))
    with keeping_busy(options.busy):
        results = _replay(options, local, notebooks)
    return _report(options, local, notebooks, results)


def _replay(
    options: argparse.Namespace, local: InProcess, notebooks: list[TypedNotebook]
) -> dict[str, TypingResult]:
    from turbopilot_research.evaluate import replay

    results: dict[str, TypingResult] = {}
    for way, source in _sources(options, local):
        for kind in options.trace:
            local.pilot.completer.results.clear()  # otherwise the next setting would find cached completions
            chosen = _traces(notebooks, kind, options)
            name = f"{way}, {kind}"
            name += f", {options.busy} busy processes" if options.busy else ""
            if options.clock:
                results |= _in_real_time(options, local, source, chosen, name)
                continue
            tell = count_items(name, len(chosen))
            with _kernel(options) as live:
                if live:
                    knowing, unaware = replay.with_kernel(local, chosen, tell, live)
                    results |= {name + report.WITH_CONTEXT: knowing, name + report.WITHOUT_CONTEXT: unaware}
                else:
                    results[name] = replay.by_keystrokes(source, chosen, tell)
    return results


def count_items(name: str, total: int) -> Callable[[str], None]:
    """Return a function that shows how many items of a long run are finished."""
    bar, numbers = Bar(name), count(1)

    def tell(_: str) -> None:
        done = next(numbers)
        bar.show(done, total, f"of {total}")
        if done == total:
            bar.end()

    return tell


def _in_real_time(
    options: argparse.Namespace, local: InProcess, source: Source, chosen: list[Trace], name: str
) -> dict[str, TypingResult]:
    """Replay in real time; with a kernel twice, so that it runs the cells in both cases."""
    from turbopilot_research.evaluate import replay

    name += f", {options.clock} ms per keystroke"
    results: dict[str, TypingResult] = {}
    for context in (report.WITH_CONTEXT, report.WITHOUT_CONTEXT) if options.kernel else ("",):
        local.pilot.completer.results.clear()
        tell = count_items(name + context, len(chosen))
        rhythm = replay.steady(options.clock / 1000)
        with _kernel(options, is_queried=context == report.WITH_CONTEXT) as live:
            results[name + context] = replay.in_real_time(source, chosen, tell, rhythm, live=live)
    return results


@contextmanager
def _kernel(options: argparse.Namespace, *, is_queried: bool = True) -> Iterator[Live | None]:
    """Provide the kernel of `--kernel`, and print the errors of its cells."""
    from turbopilot_research.evaluate.live import Live

    if not options.kernel:
        yield None
        return
    folder = options.notebooks if options.notebooks.is_dir() else None
    with Live(options.kernel, folder, is_queried=is_queried) as live:
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
    """Replay notebooks with and without a notebook index."""
    from turbopilot_research.evaluate.index_shelf import IndexShelf, with_and_without
    from turbopilot_research.evaluate.scoring import saved_ratio

    everything = notebook_sets.read(options.notebooks)
    notebooks = _selected(options, everything)
    results: dict[str, TypingResult] = {}
    gains = []
    with closing(IndexShelf(options.index, everything)) as shelf, keeping_busy(options.busy):
        local.wait()
        for eagerness in options.eagerness:
            local.pilot.settings.eagerness = eagerness
            for kind in options.trace:
                chosen = _traces(notebooks, kind, options)
                if kind == "append":  # do not index lines before they are typed
                    chosen = [*map(traces.from_the_top, chosen)]
                name = f"{eagerness}, {kind}"
                tell = count_items(name, len(chosen))
                ways = with_and_without(local, chosen, shelf, tell, (options.clock or 0) / 1000)
                for way, typed in zip(("with index", "without index"), ways, strict=True):
                    results[f"{name}, {way}"] = typed
                gain = saved_ratio(*(typed.notebooks for typed in ways))
                gains.append(f"{name}: with the index, the suggestions save {gain}.")
    return _report(options, local, notebooks, results, gains)


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
        effective = {key: value for key in sorted(_RECORDED) if (value := vars(options).get(key))}
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
