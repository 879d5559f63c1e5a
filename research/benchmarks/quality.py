"""The quality of each model's suggestions, and the effect of adapters.

    python research/benchmarks/quality.py models --set notebooks.json.gz [--requests 600] [--write]
    python research/benchmarks/quality.py adapter --set notebooks.json.gz [--adapter NAME] [--positions 1500]
    python research/benchmarks/quality.py columns --set notebooks.json.gz [--kernel python3] [--mentions 150]
    python research/benchmarks/quality.py sessions --set FOLDER --log FILE [--kernel python3] [--minutes 5]
    python research/benchmarks/quality.py ends --set notebooks.json.gz [--positions 500]
    python research/benchmarks/quality.py holes --set notebooks.json.gz [--positions 500]

The first two use the half of the notebooks that the gate was not fitted to. `models` replays cells with each
model in a separate process: precision, keystrokes saved, latency per keystroke and memory, by eagerness.
`--write` updates `jupyter_turbopilot/models/quality.json`, which the models panel and docs/models.md show.
`adapter` counts lines that are completed exactly with and without the adapter; a third of the lines with text
below them are completed within the finished cell. `columns` runs the notebooks in a kernel, and counts the
first mentions of columns that are completed after none, one and two of their characters: with kernel context,
without columns in the prompt, and without kernel context. It counts common beginnings of several candidates
apart. `sessions` types cells of notebooks, which may read files beside them, and runs each afterwards, with
and without kernel context; it adds the answers to a log and summarises it. `ends` counts the right
suggestions that leave a bracket or quote to close or end before a bracket, and the suggestions in the middle
of a line after which a valid cell does not parse. `holes` removes an argument, a subscript or a condition
from a line, and counts the suggestions that fill the hole. The notebooks of `columns` and `sessions` should
read files with unfamiliar column names: a model knows those of public data.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import resource
import statistics
import subprocess
import sys
from collections import Counter
from contextlib import closing, nullcontext, suppress
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import msgspec

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "research" / "scripts"))

from first_mentions import first_mentions  # noqa: E402
from harness import settings_of  # noqa: E402
from page_model import PageModel  # noqa: E402

from jupyter_turbopilot.analysis.kernel_context import NONE  # noqa: E402
from jupyter_turbopilot.analysis.lexer import closing_length  # noqa: E402
from jupyter_turbopilot.analysis.syntax import judged  # noqa: E402
from jupyter_turbopilot.context import notebook as prompt_context  # noqa: E402
from jupyter_turbopilot.models.recommend import Measured, Quality  # noqa: E402
from jupyter_turbopilot.suggestion.candidates import names_at  # noqa: E402
from jupyter_turbopilot.suggestion.names import scope_of  # noqa: E402
from jupyter_turbopilot.terminal.in_process import InProcess  # noqa: E402
from turbopilot_research.evaluate import lines, replay, traces  # noqa: E402
from turbopilot_research.evaluate.live import Live, ResolvedNames  # noqa: E402
from turbopilot_research.evaluate.notebooks import read  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from first_mentions import Mention

    from jupyter_turbopilot.analysis.kernel_context import KernelContext
    from jupyter_turbopilot.protocol.request import Trigger
    from turbopilot_research.evaluate.notebooks import TypedNotebook

EAGERNESS = ("quiet", "balanced", "eager")
# A model, and whether it is used with the bundled adapter.
MODELS = (
    ("qwen2.5-coder-0.5b", True),
    ("qwen2.5-coder-0.5b", False),
    ("qwen2.5-coder-1.5b", True),
    ("smollm2-135m", True),
)
GAP = re.compile(r"\w*+")  # what is missing in the middle of a line: the rest of a word
PAGE = "characters"  # the browser model
PAGE_FILE = ROOT / "labextension" / "models" / "characters.gguf"
WRITTEN = ROOT / "jupyter_turbopilot" / "models" / "quality.json"


def peak_memory() -> int:
    """Return the peak memory of this process in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def completers(options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Iterate over the eagerness settings with their completers, without completions cached for others."""
    if options.model == PAGE:
        for eagerness in EAGERNESS:
            with closing(PageModel(PAGE_FILE, eagerness)) as page:
                yield eagerness, page
        return
    settings = settings_of(options.model, [] if options.published else None)
    with closing(InProcess(settings)) as local:
        local.wait()
        for eagerness in EAGERNESS:
            settings.eagerness = eagerness
            local.pilot.completer.results.clear()
            yield eagerness, local


def measure(options: argparse.Namespace) -> None:
    """Replay with one model; print a line of JSON for each eagerness."""
    chosen = traces.of_kind(read(options.set)[1::2], "append", options.requests)
    for eagerness, completer in completers(options):
        typed = replay.by_keystrokes(completer, chosen, lambda _: None)
        found = {
            "eagerness": eagerness,
            "shown": typed.total.shown,
            "precision": typed.total.precision,
            "saved": typed.total.share_saved,
            "ms": statistics.median(typed.ms),
            "p95": statistics.quantiles(typed.ms, n=20)[-1],
            "mean": statistics.fmean(typed.ms),
            "memory": peak_memory(),
        }
        print(json.dumps(found), flush=True)


def models(options: argparse.Namespace) -> None:
    """Measure all models; print the table, and update the panel's data."""
    if options.model:
        measure(options)
        return
    print("| model | eagerness | precision | saved | shown | keystroke: median, p95, mean | memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    written: list[Measured] = []
    for model, tuned in (*MODELS, (PAGE, True)):
        command = [sys.executable, __file__, "models", "--set", str(options.set), "--model", model]
        command += ["--requests", str(options.requests), *([] if tuned else ["--published"])]
        out = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
        rows = [json.loads(line) for line in out.splitlines()]
        name = f"{model}, in a page" if model == PAGE else model if tuned else f"{model}, without its adapter"
        for row in rows:
            memory = "" if model == PAGE else f"{row['memory'] / 1e6:.0f} MB"
            print(
                f"| {name} | {row['eagerness']} | {row['precision']:.2f} | {row['saved']:.3f} "
                f"| {row['shown']} | {row['ms']:.0f}, {row['p95']:.0f}, {row['mean']:.0f} ms | {memory} |",
                flush=True,
            )
        by_eagerness = {
            row["eagerness"]: Quality(
                precision=round(row["precision"], 2), saved=round(row["saved"], 2), ms=round(row["ms"])
            )
            for row in rows
        }
        if model != PAGE:
            written.append(Measured(model, by_eagerness, without_adapter=not tuned))
    if options.write:
        WRITTEN.write_bytes(msgspec.json.format(msgspec.json.encode(written), indent=1) + b"\n")


def adapter(options: argparse.Namespace) -> None:
    """Compare the lines completed exactly with and without an adapter."""
    notebooks = read(options.set)[1::2]
    chosen = lines.positions(notebooks, options.positions)
    found: list[lines.ExactLines] = []
    for adapters in ([], [options.adapter]):
        settings = settings_of(None, adapters)
        settings.deadline = 300.0  # a slow machine gives the same result
        with closing(InProcess(settings)) as local:
            found.append(lines.complete(local, notebooks, chosen, lambda _: None))
    print("all:", lines.gain(*found).summary)
    for name, within in (("at the end of the code:", False), ("within finished cells:", True)):
        print(name, lines.gain(*(each.of(within=within) for each in found)).summary)


def mentions_in(notebooks: list[TypedNotebook], live: Live) -> Iterator[tuple[Mention, KernelContext]]:
    """Run notebooks; yield the first mentions of columns with the kernel context of their cells."""
    for notebook in notebooks:
        for active in notebook.typed:
            cells, types = (*notebook.sources[:active], ""), notebook.types[: active + 1]
            focus = traces.Keystroke(cells, types, active, 0, notebook.sources[active], 0)
            context = live.kernel_context(traces.Trace("append", notebook.name, (focus,)))
            for mention in first_mentions(notebook, active, context):
                yield mention, context


# "names only": the columns of tables are not in the prompt.
COLUMN_WAYS = ("with", "names only", "without")


def columns(options: argparse.Namespace) -> None:
    """Count the first mentions of columns that are completed."""
    settings = settings_of(None)
    settings.deadline = 300.0  # a slow machine gives the same result
    counts, missing = Counter[tuple[str, int, str]](), {name: ResolvedNames() for name in COLUMN_WAYS}
    folder = options.set if options.set.is_dir() else None
    with Live(options.kernel, folder) as live, closing(InProcess(settings)) as local:
        local.wait()
        chosen = islice(mentions_in(read(options.set), live), options.mentions)
        for mention, context in chosen:
            for name, typed in product(missing, (0, 1, 2)):
                request = mention.typed(typed).request(ran=True, trigger="automatic", client="typist")
                known = NONE if name == "without" else context
                local.pilot.completer.results.clear()
                undescribed = patch.object(prompt_context, "describe", lambda *_: "")
                with undescribed if name == "names only" else nullcontext():
                    reply = local.last(request, known)
                text = reply.items[0].text if reply.items else ""
                rest = mention.label[typed:]
                following = names_at(request, scope_of(request, known))
                is_beginning = bool(text) and len(following.names) > 1 and text == following.certain_prefix
                counts[name, typed, "all"] += 1
                counts[name, typed, "shown"] += bool(text) and not is_beginning
                counts[name, typed, "beginnings"] += is_beginning
                counts[name, typed, "right beginnings"] += is_beginning and rest.startswith(text)
                counts[name, typed, "right"] += (
                    text.startswith(rest) and not text[len(rest) :][:1].isidentifier()
                )
                if text:
                    live.count_names(missing[name], request.prefix, text)
    print("| kernel context | typed | mentions | shown | right | beginnings | precision | missing names |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, typed in product(missing, (0, 1, 2)):
        every, shown, right, beginnings = (
            counts[name, typed, part] for part in ("all", "shown", "right", "beginnings")
        )
        precision = counts[name, typed, "right beginnings"] / max(1, beginnings)
        print(
            f"| {name} | {typed} | {every} | {shown} | {right} | {beginnings} | {precision:.2f} "
            f"| {missing[name].share:.3f} |"
        )


def sessions(options: argparse.Namespace) -> None:
    """Type whole notebooks with and without kernel context."""
    from sessions import record, summarise

    notebooks, settings = read(options.set), settings_of(None)
    settings.deadline = 300.0  # a slow machine gives the same result
    if options.minutes:
        with Live(options.kernel, options.set) as live:
            record(notebooks, live, settings, options.log, options.places, options.minutes)
    print(*summarise(notebooks, options.log), sep="\n")


def ends(options: argparse.Namespace) -> None:
    """Count suggestions that end too early or too late."""
    notebooks = read(options.set)[1::2]
    settings = settings_of(None)
    settings.deadline = 300.0  # a slow machine gives the same result
    counts = Counter[tuple[str, str]]()
    with closing(InProcess(settings)) as local:
        local.wait()
        for number, cell, at, _ in lines.positions(notebooks, options.positions):
            source = notebooks[number].cells[cell].source
            before, future = source[:at], source[at:]
            line, newline, below = future.partition("\n")
            rest = GAP.sub("", line, count=1) + newline + below
            for trigger, after in (("automatic", ""), ("automatic", rest), ("invoke", rest)):
                reply = local.last(traces.request_at(notebooks[number], cell, at, after, trigger=trigger))
                if not (text := reply.items[0].text if reply.items else "") or after.startswith("\n"):
                    continue
                name = f"{trigger}, {'in a line' if after else 'at the end'}"
                counts[name, "shown"] += 1
                counts[name, "right"] += future.startswith(text)
                written = (before + text).rpartition("\n")[2]
                is_open = future.startswith(text) and closing_length(written, future[len(text) :]) > 0
                counts[name, "open"] += is_open and not after
                shown = reply.items[0].shown
                follows = future[len(shown) : len(shown) + 1] or " "
                counts[name, "short"] += future.startswith(shown) and follows in "([{"
                was_valid = judged(source).valid and bool(after)
                counts[name, "invalid"] += was_valid and not judged(before + text + after).valid
    print("| suggestions | shown | right | leave one to close | end before a bracket | do not parse |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in dict.fromkeys(name for name, _ in counts):
        found = (str(counts[name, part]) for part in ("shown", "right", "open", "short", "invalid"))
        print(f"| {name} | {' | '.join(found)} |")


HOLES = ("argument", "subscript", "condition")
TRIGGERS: tuple[Trigger, ...] = ("automatic", "invoke")


def holes_in(source: str) -> Iterator[tuple[str, int, int]]:
    """Yield the holes that can be cut into the lines of a cell: kind, start and end."""
    starts = [0]
    for line in source.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(args=[*_, argument]):
                kind, inner = "argument", argument
            case ast.Subscript(slice=inner):
                kind = "subscript"
            case ast.If(test=inner) | ast.While(test=inner) | ast.IfExp(test=inner):
                kind = "condition"
            case ast.Compare(comparators=[inner]):
                kind = "condition"
            case _:
                continue
        if inner.lineno == inner.end_lineno and source.isascii():
            line = starts[inner.lineno - 1]
            yield kind, line + inner.col_offset, line + (inner.end_col_offset or 0)


def holes(options: argparse.Namespace) -> None:
    """Count suggestions that fill holes in lines."""
    notebooks = read(options.set)[1::2]
    found: dict[str, list[tuple[int, int, int, int]]] = {kind: [] for kind in HOLES}
    for number, notebook in enumerate(notebooks):
        for active, cell in enumerate(notebook.cells):
            if cell.type == "code":
                with suppress(SyntaxError):
                    for kind, start, end in holes_in(cell.source):
                        found[kind].append((number, active, start, end))
    settings = settings_of(None)
    settings.deadline = 300.0  # a slow machine gives the same result
    print("| hole, trigger | holes | shown | exact | do not parse | repeat the text after the cursor |")
    print("| --- | --- | --- | --- | --- | --- |")
    with closing(InProcess(settings)) as local:
        local.wait()
        for kind in HOLES:
            chosen = found[kind].copy()
            random.Random(5).shuffle(chosen)  # noqa: S311 - a reproducible choice
            # In order, and both triggers at once: most of each prompt is in the KV cache.
            chosen = sorted(chosen[: options.positions])
            counts = Counter[tuple[str, str]]()
            for (number, active, start, end), trigger in product(chosen, TRIGGERS):
                source = notebooks[number].cells[active].source
                after = source[end:]
                request = traces.request_at(notebooks[number], active, start, after, trigger=trigger)
                reply = local.last(request)
                text = reply.items[0].text if reply.items else ""
                rest = after.partition("\n")[0]
                tails = (text[-length:] for length in range(2, len(rest) + 1))
                is_exact = text == source[start:end]
                counts[trigger, "shown"] += bool(text)
                counts[trigger, "exact"] += is_exact
                counts[trigger, "invalid"] += bool(text) and not judged(source[:start] + text + after).valid
                counts[trigger, "doubled"] += not is_exact and any(
                    tail and rest.startswith(tail) for tail in tails
                )
            for trigger in TRIGGERS:
                figures = [len(chosen)]
                figures += [counts[trigger, name] for name in ("shown", "exact", "invalid", "doubled")]
                print(f"| {kind}, {trigger} | {' | '.join(map(str, figures))} |", flush=True)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("models", help=models.__doc__)
    command.add_argument("--set", type=Path, required=True)
    command.add_argument("--requests", type=int, default=600)
    command.add_argument("--model", help="measure only this model, in this process")
    command.add_argument("--published", action="store_true", help="without its bundled adapter")
    command.add_argument("--write", action="store_true")
    command.set_defaults(run=models)
    command = commands.add_parser("adapter", help=adapter.__doc__)
    command.add_argument("--set", type=Path, required=True)
    command.add_argument("--adapter", default="default")
    command.add_argument("--positions", type=int, default=1500)
    command.set_defaults(run=adapter)
    command = commands.add_parser("columns", help=columns.__doc__)
    command.add_argument("--set", type=Path, required=True)
    command.add_argument("--kernel", default="python3")
    command.add_argument("--mentions", type=int, default=150)
    command.set_defaults(run=columns)
    command = commands.add_parser("sessions", help=sessions.__doc__)
    command.add_argument("--set", type=Path, required=True)
    command.add_argument("--log", type=Path, required=True)
    command.add_argument("--kernel", default="python3")
    command.add_argument("--places", type=int, default=80, help="of each notebook")
    command.add_argument("--minutes", type=float, default=5.0, help="0: summarise only")
    command.set_defaults(run=sessions)
    command = commands.add_parser("ends", help=ends.__doc__)
    command.add_argument("--set", type=Path, required=True)
    command.add_argument("--positions", type=int, default=500)
    command.set_defaults(run=ends)
    command = commands.add_parser("holes", help=holes.__doc__)
    command.add_argument("--set", type=Path, required=True)
    command.add_argument("--positions", type=int, default=500)
    command.set_defaults(run=holes)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
