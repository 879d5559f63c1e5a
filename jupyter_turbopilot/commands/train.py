"""`jupyter turbopilot train`: tune a model to notebooks and code, or train a small one from nothing."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.commands.loading import load
from jupyter_turbopilot.commands.progress import Bar
from jupyter_turbopilot.errors import BadRequestError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.engine.llama.engine import LlamaEngine
    from jupyter_turbopilot.prompt.layout import Layout
    from jupyter_turbopilot.training.corpus import Document
    from jupyter_turbopilot.training.loop import Log
    from jupyter_turbopilot.training.network import Network

NEED = 'Training needs more packages. Run: python -m pip install "jupyter-turbopilot[train]"'
LEAST_CELLS = 20
HELD_TREES = 24
UPPER = 0.5  # which share of the layers is adapted, from the top: the others would cost as much again
LATEST = 50  # steps the bar's loss stands for
ADAPTER_RATE, SCRATCH_RATE = 3e-4, 2e-3
SHARE_OF_A_LANGUAGE = 0.1  # of the minutes, for each tune behind a training from scratch
WHOLE_BYTES, ADAPTER_BYTES = 16, 4  # for each weight: with what it changes by, or alone
WORK_BYTES = 3_000_000_000  # for what a step computes
LIMITS = {
    "minutes": (0.01, 100_000),
    "rank": (1, 256),
    "rate": (1e-6, 0.1),
    "cells": (0, 256),
    "context": (64, 8192),
    "held_out": (0.0, 0.5),
    "places": (0, 100_000),
    "width": (32, 4096),
    "layers": (1, 64),
    "heads": (1, 64),
    "length": (256, 32_768),
}


def add(commands: Any) -> None:
    """Declare the command."""
    command = commands.add_parser(
        "train", help="tune a model to your notebooks and code; nothing leaves the machine"
    )
    command.add_argument(
        "paths", metavar="PATH", type=Path, nargs="+", help="folders, notebooks, code, or a prepared .jsonl"
    )
    command.add_argument("-m", "--model", help="the model to tune; default: the configured one")
    command.add_argument(
        "-o", "--output", type=Path, default=Path("adapter.gguf"), help="what is written (%(default)s)"
    )
    command.add_argument("--minutes", type=float, default=20.0, help="how long to train (%(default)s)")
    command.add_argument(
        "--language", nargs="+", default=[], metavar="NAME", help="only code in these languages"
    )
    command.add_argument("--rank", type=int, default=16, help="how much an adapter can learn (%(default)s)")
    command.add_argument("--rate", type=float, help=f"how fast it learns ({ADAPTER_RATE})")
    command.add_argument("--cells", type=int, default=0, help="cells a step; 0: one, or sixteen on a card")
    command.add_argument(
        "--context", type=int, default=768, help="tokens before the cursor that it learns with (%(default)s)"
    )
    command.add_argument("--held-out", type=float, default=0.1, help="share that is kept for the test (0.1)")
    command.add_argument(
        "--places", type=int, default=200, help="lines it is tested on, with and without; 0: no test"
    )
    command.add_argument(
        "--plain", action="store_true", help="begin with the model as published, without adapters in use"
    )
    command.add_argument("--fresh", action="store_true", help="do not go on with a training that was stopped")
    command.add_argument(
        "--whole", action="store_true", help="train all of the model and write it whole (small models)"
    )
    small = command.add_argument_group("a small model of characters, from nothing")
    small.add_argument("--scratch", action="store_true", help="begin with random weights")
    small.add_argument("--width", type=int, default=288, help="(%(default)s)")
    small.add_argument("--layers", type=int, default=6, help="(%(default)s)")
    small.add_argument("--heads", type=int, default=6, help="(%(default)s)")
    small.add_argument("--length", type=int, default=2048, help="characters it sees (%(default)s)")
    small.add_argument(
        "--each-language", action="store_true", help="then tune a copy of it to each language there is"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Gather, train, write, test."""
    _check(options)
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError:
        raise TurbopilotError(NEED) from None
    from jupyter_turbopilot.engine.load import machine

    torch.set_num_threads(machine.cores())
    read = options.settings
    options.settings = lambda asked: _ours(read(asked), options)
    options.whole |= options.scratch
    learnt, held = gather(options)
    _one(options, learnt, held)
    if options.each_language:
        for language in _languages(learnt):
            print(f"\nNow {language} alone.")
            changed = {
                "model": str(options.output),
                "output": options.output.with_stem(f"{options.output.stem}-{language}"),
                "minutes": options.minutes * SHARE_OF_A_LANGUAGE,
                "scratch": False,
            }
            _one(
                argparse.Namespace(**vars(options) | changed),
                [one for one in learnt if one.language == language],
                [one for one in held if one.language == language],
            )
    return 0


def _check(options: argparse.Namespace) -> None:
    for name, (least, most) in LIMITS.items():
        value = getattr(options, name)
        if value is not None and not least <= value <= most:
            called = f"--{name.replace('_', '-')}"
            raise BadRequestError(f"{called} lies between {least} and {most}, not at {value}.", field=name)
    if options.output.suffix != ".gguf":
        raise BadRequestError("The name of what is written ends with .gguf.", field="output")
    if options.each_language and not options.scratch:
        raise BadRequestError("--each-language goes with --scratch.", field="each_language")


def _ours(settings: Turbopilot, options: argparse.Namespace) -> Turbopilot:
    if options.plain or options.whole:
        settings.adapters = []
    return settings


def _one(options: argparse.Namespace, learnt: Sequence[Document], held: Sequence[Document]) -> None:
    """Train once, write, test."""
    before = options.settings(options)
    if options.scratch:
        before.model = options.model = str(_blank(options))
    network, log, source = learn(options, learnt, held)
    from jupyter_turbopilot.training.network import write_adapter, write_model
    from jupyter_turbopilot.training.plot import draw

    output = options.output.resolve()
    if options.whole:
        write_model(network, source, output)
    else:
        write_adapter(network, output, f"jupyter-turbopilot: {options.paths[0].name}")
    del network
    print(summary(options, log))
    if plot := draw(log, output.with_suffix(".svg")):
        print(f"The loss by steps: {plot}")
    after = options.settings(options)
    if options.whole:
        after.model = str(output)
    else:
        after.adapters = [*after.adapters, str(output)]
    print(_tested(options, before, after, held))
    used = f"model = {after.model!r}" if options.whole else f"adapters = {after.adapters!r}"
    print(f"To use it: c.Turbopilot.{used} (docs/training.md)")


def gather(options: argparse.Namespace) -> tuple[list[Document], list[Document]]:
    """Read and clean what is there; say what was left out. Return what is learnt from, and what is not."""
    from jupyter_turbopilot.training import corpus
    from jupyter_turbopilot.training.samples import typed_cells

    wanted = set(options.language)
    documents = (one for one in corpus.read(options.paths) if not wanted or one.language in wanted)
    found = corpus.clean(documents, ascii_only=options.scratch)
    learnt, held = corpus.split(found.documents, options.held_out)
    cells = sum(len(typed_cells(one)) for one in learnt)
    print(f"{found.summary()}. {cells} cells to learn from, {len(held)} documents kept for the test.")
    if cells < LEAST_CELLS:
        raise TurbopilotError(
            f"There are {cells} cells to learn from, and {LEAST_CELLS} are the least. Name more notebooks."
        )
    return learnt, held


def _blank(options: argparse.Namespace) -> Path:
    from jupyter_turbopilot.training.scratch import Shape, write_blank

    path = options.output.with_name(f"{options.output.stem}-blank.gguf").resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_blank(path, Shape(options.width, options.layers, options.heads, options.length))


def learn(
    options: argparse.Namespace, learnt: Sequence[Document], held: Sequence[Document]
) -> tuple[Network, Log, Path]:
    """Train, with a bar; return the network, how it went, and the file that it came from."""
    from jupyter_turbopilot.training import loop, network
    from jupyter_turbopilot.training.course import Course

    place = network.best_device()
    card = place.type != "cpu"
    loaded = load(options.settings(options), options.model, context=4096)
    try:
        layout, end = layout_of(options, loaded.engine)
        # What was learnt before is built upon: the adapters in use are part of the model.
        path = loaded.path
        if any(not adapter.language for adapter in loaded.hardware.adapters):
            raise TurbopilotError("Adapters in use could not be added to the model. Train with --plain.")
        course = Course(learnt, layout, end, options.cells or (16 if card else 1))
        apart = Course(held, layout, end, seed=9).some(HELD_TREES)
        _need_memory(path, whole=options.whole)
        print("Unpacking the model…", file=sys.stderr)
        tuned = network.load(path, place, network.best_type(place))
        plan = loop.Plan(options.minutes, options.rate or ADAPTER_RATE)
        if options.whole:
            network.free(tuned)
            plan.told = 1.0
            plan.rate = options.rate or (SCRATCH_RATE if options.scratch else ADAPTER_RATE)
        else:
            first = 0 if card else int(tuned.header.number("block_count") * (1 - UPPER))
            network.adapt(tuned, options.rank, 2 * options.rank, first)
        kept = options.output.with_suffix(".training")
        if options.fresh:
            kept.unlink(missing_ok=True)
        chances = loop.Chances(tuned, () if card else course.words())
        training = loop.Training(tuned, chances, apart, plan, kept)
        if training.log.steps:
            print(f"{kept}: going on from step {training.log.steps}", file=sys.stderr)
        with Bar("training") as bar:
            log = training.run(course.trees, _teller(bar))
    finally:
        loaded.engine.close()
    return tuned, log, path


def _need_memory(path: Path, *, whole: bool) -> None:
    """Refuse in words what the memory does not suffice for."""
    from jupyter_turbopilot.engine.load import machine
    from jupyter_turbopilot.models.gguf import read_header

    needs = read_header(path).parameters * (WHOLE_BYTES if whole else ADAPTER_BYTES) + WORK_BYTES
    if needs > (free := machine.free_memory()):
        advice = " Train an adapter: leave --whole out." if whole else " Close something."
        raise TurbopilotError(
            f"Training {path.name} takes {needs / 1e9:.1f} GB of memory; {free / 1e9:.1f} are free.{advice}"
        )


def _teller(bar: Bar) -> Callable[[Log, float], None]:
    def tell(log: Log, done: float) -> None:
        latest = [loss for _, loss in log.losses[-LATEST:]]
        rate = log.tokens / max(log.seconds, 0.1)
        left = log.seconds / done - log.seconds if done else 0.0
        loss, minutes = sum(latest) / len(latest), left / 60
        words = f"step {log.steps}, loss {loss:.3f}, {rate:.0f} tokens/s, {minutes:.0f} min left"
        bar.show(done, 1.0, words)

    return tell


def layout_of(options: argparse.Namespace, engine: LlamaEngine) -> tuple[Layout, int]:
    """Return what lays prompts out as the product does, and the token that ends an answer."""
    from jupyter_turbopilot.prompt.layout import Layout

    settings = options.settings(options)
    settings.prompt_tokens = min(options.context, engine.context_size // 2)
    ends = [engine.find_token(text) for text in ("<|endoftext|>", "<|end_of_text|>", "</s>", "<EOT>")]
    end = next((token for token in ends if token in engine.ends), min(engine.ends, default=None))
    if end is None:
        raise TurbopilotError("The model's vocabulary has no token that ends a text.")
    return Layout(engine, settings), end


def summary(options: argparse.Namespace, log: Log) -> str:
    """Say what was learnt."""
    size = options.output.stat().st_size / 1e6
    text = (
        f"{options.output}: {size:.1f} MB. {log.steps} steps, {log.samples} samples, "
        f"{log.tokens / 1e6:.2f} M tokens in {log.seconds / 60:.1f} minutes."
    )
    if log.held:
        text += f" Loss on what was kept apart: {log.held[0][1]:.3f} before, {log.held[-1][1]:.3f} after."
    return text


def _tested(
    options: argparse.Namespace, before: Turbopilot, after: Turbopilot, held: Sequence[Document]
) -> str:
    """Complete lines of what was kept apart, before and after, and say whether it helped."""
    from jupyter_turbopilot.evaluate import lines
    from jupyter_turbopilot.training.samples import typed_cells

    notebooks = [
        {
            "name": one.name,
            "cells": [{"type": kind, "source": source} for kind, source in one.cells],
            "typed": typed_cells(one),
        }
        for one in held
    ]
    if not options.places or not lines.places(notebooks, 1):
        return "It was not tested."
    with Bar("testing") as bar:
        found = lines.compare(
            (("without", before), ("with", after)),
            notebooks,
            options.places,
            lambda name, done, total: bar.show(done, total, name),
        )
    return found.words


def _languages(documents: Sequence[Document]) -> list[str]:
    """Return the languages there is enough of."""
    from jupyter_turbopilot.training.samples import typed_cells

    cells: Counter[str] = Counter()
    for one in documents:
        cells[one.language] += len(typed_cells(one))
    return sorted(language for language, count in cells.items() if count > 2 * LEAST_CELLS)
