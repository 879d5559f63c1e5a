"""`jupyter turbopilot train`: tune a model to notebooks and code, and say whether it helped."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.commands.bar import Bar
from jupyter_turbopilot.commands.loading import load, pilot_of
from jupyter_turbopilot.errors import BadRequestError, TurbopilotError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.evaluate.lines import Gain
    from jupyter_turbopilot.layout import Layout
    from jupyter_turbopilot.training.corpus import Document
    from jupyter_turbopilot.training.loop import Log
    from jupyter_turbopilot.training.network import Network

NEED = 'Training needs more packages. Run: python -m pip install "jupyter-turbopilot[train]"'
LEAST_CELLS = 20
HELD_TREES = 24
UPPER = 0.5  # which share of the layers is adapted, from the top: the others would cost as much again
LATEST = 50  # steps the bar's loss stands for


@dataclass(frozen=True)
class Material:
    """What is learnt from, and what is kept for the test."""

    learnt: list[Document]
    held: list[Document]


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
        "-o", "--output", type=Path, default=Path("adapter.gguf"), help="the adapter (%(default)s)"
    )
    command.add_argument("--minutes", type=float, default=20.0, help="how long to train (%(default)s)")
    command.add_argument("--rank", type=int, default=16, help="how much it can learn (%(default)s)")
    command.add_argument("--rate", type=float, default=3e-4, help="how fast it learns (%(default)s)")
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
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Gather, train, write, test."""
    _check(options)
    read = options.settings
    if options.plain:
        options.settings = lambda options: _plain(read(options))
    try:
        import gguf  # noqa: F401
        import torch
        import transformers  # noqa: F401
    except ImportError:
        raise TurbopilotError(NEED) from None
    from jupyter_turbopilot.engine import machine

    torch.set_num_threads(machine.cores())
    material = gather(options)
    network, log = learn(options, material)
    from jupyter_turbopilot.training.network import write_adapter
    from jupyter_turbopilot.training.picture import draw

    write_adapter(network, options.output, f"jupyter-turbopilot: {options.paths[0].name}")
    del network
    print(summary(options, log))
    if plot := draw(log, options.output.with_suffix(".svg")):
        print(f"The loss by steps: {plot}")
    if not options.places:
        return 0
    gain = test(options, material.held)
    print(gain.words if gain else "Nothing was kept apart, so it was not tested: train on several files.")
    used = [*options.settings(options).adapters, str(options.output.resolve())]
    print(f"To use it: c.Turbopilot.adapters = {used!r} (docs/training.md)")
    return 0


def _plain(settings: Turbopilot) -> Turbopilot:
    settings.adapters = []
    return settings


def _check(options: argparse.Namespace) -> None:
    for name, least, most in (
        ("minutes", 0.01, 10_000),
        ("rank", 1, 256),
        ("rate", 1e-6, 0.1),
        ("cells", 0, 256),
        ("context", 64, 8192),
        ("held_out", 0.0, 0.5),
        ("places", 0, 100_000),
    ):
        value = getattr(options, name)
        if not least <= value <= most:
            called = name.replace("_", "-")
            raise BadRequestError(
                f"--{called} lies between {least} and {most}, not at {value}.", field=called
            )
    if options.output.suffix != ".gguf":
        raise BadRequestError("The adapter's name ends with .gguf.", field="output")


def gather(options: argparse.Namespace) -> Material:
    """Read and clean what is there; say what was left out."""
    from jupyter_turbopilot.training import corpus
    from jupyter_turbopilot.training.samples import typed_cells

    found = corpus.clean(corpus.read(options.paths))
    learnt, held = (
        corpus.split(found.documents, options.held_out) if options.held_out else (found.documents, [])
    )
    cells = sum(len(typed_cells(one)) for one in learnt)
    print(f"{found.summary()}. {cells} cells to learn from, {len(held)} documents kept for the test.")
    if cells < LEAST_CELLS:
        raise TurbopilotError(
            f"There are {cells} cells to learn from, and {LEAST_CELLS} are the least. Name more notebooks."
        )
    return Material(learnt, held)


def learn(options: argparse.Namespace, material: Material) -> tuple[Network, Log]:
    """Train, with a bar that says how far it is."""
    from jupyter_turbopilot.training import loop, network
    from jupyter_turbopilot.training.course import Course

    place = network.best_device()
    card = place.type != "cpu"
    layout, end = layout_of(options)
    # What was learnt before is built upon: the adapters in use are part of the model.
    path, hardware = pilot_of(options).weights(_model(options))
    if hardware.adapters:
        raise TurbopilotError("Adapters in use could not be added to the model. Train with --plain.")
    try:
        course = Course(material.learnt, layout, end, options.cells or (16 if card else 1))
        held = Course(material.held, layout, end, seed=9).some(HELD_TREES)
        print("Unpacking the model…", file=sys.stderr)
        tuned = network.load(path, place, network.best_type(place))
        layers = tuned.header.number("block_count")
        network.adapt(tuned, options.rank, 2 * options.rank, 0 if card else int(layers * (1 - UPPER)))
        chances = loop.Chances(tuned, () if card else course.words())
        kept = options.output.with_suffix(".training")
        if options.fresh:
            kept.unlink(missing_ok=True)
        plan = loop.Plan(options.minutes, options.rate)
        with Bar("training") as bar:
            log = loop.Training(tuned, chances, held, plan, kept).run(course.trees, _teller(bar))
    finally:
        layout.engine.close()
    return tuned, log


def _teller(bar: Bar) -> Any:
    def tell(log: Log, done: float) -> None:
        latest = [loss for _, loss in log.losses[-LATEST:]]
        rate = log.tokens / max(log.seconds, 0.1)
        left = log.seconds / done - log.seconds if done else 0.0
        loss, minutes = sum(latest) / len(latest), left / 60
        words = f"step {log.steps}, loss {loss:.3f}, {rate:.0f} tokens/s, {minutes:.0f} min left"
        bar.show(done, 1.0, words)

    return tell


def _model(options: argparse.Namespace) -> Any:
    from jupyter_turbopilot.models.catalog import find

    return find(options.model or pilot_of(options).selected)


def layout_of(options: argparse.Namespace) -> tuple[Layout, int]:
    """Return what lays prompts out as the product does, and the token that ends an answer."""
    from jupyter_turbopilot.layout import Layout

    engine = load(options, options.model, context=4096).engine
    settings = pilot_of(options).settings
    settings.prompt_tokens = options.context
    ends = [engine.find_token(text) for text in ("<|endoftext|>", "<|end_of_text|>", "</s>", "<EOT>")]
    end = next((token for token in ends if token in engine.ends), min(engine.ends, default=None))
    if end is None:
        engine.close()
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


def test(options: argparse.Namespace, held: Sequence[Document]) -> Gain | None:
    """Complete lines of what was kept apart, with the adapter and without."""
    from jupyter_turbopilot.evaluate import lines
    from jupyter_turbopilot.local import Local
    from jupyter_turbopilot.training.samples import typed_cells

    notebooks = [
        {
            "name": one.name,
            "cells": [{"type": kind, "source": source} for kind, source in one.cells],
            "typed": typed_cells(one),
        }
        for one in held
    ]
    chosen = lines.places(notebooks, options.places)
    if not chosen:
        return None
    found = []
    for name, more in (("without", []), ("with", [str(options.output.resolve())])):
        settings = options.settings(options)
        settings.adapters = [*settings.adapters, *more]
        settings.keep_sequences = settings.considerate = False
        local = Local(settings)
        try:
            with Bar(f"testing {name} it") as bar:
                done: list[str] = []

                def tell(notebook: str, bar: Bar = bar, done: list[str] = done) -> None:
                    done.append(notebook)
                    bar.show(len(done), len(chosen), notebook)

                found.append(lines.complete(local, notebooks, chosen, tell))
        finally:
            local.close()
    return lines.gain(*found)
