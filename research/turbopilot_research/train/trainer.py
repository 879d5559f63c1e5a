"""Run a training from the model's file to the written adapter or model."""

from __future__ import annotations

import hashlib
import math
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch

from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.prompt.layout import LAYOUT, Layout
from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.util.files import sha256_of, write_atomically
from turbopilot_research.evaluate import lines
from turbopilot_research.train import loop, network
from turbopilot_research.train.adapter import Adapter, TreeLoss
from turbopilot_research.train.all_weights import WholeModel, step_bytes
from turbopilot_research.train.contexts import Contexts
from turbopilot_research.train.options import ADAPTER_RATE, SCRATCH_RATE, changed
from turbopilot_research.train.rows import (
    Marks,
    Rows,
    have_origin,
    pack_samples,
    read_rows,
    write_rows,
)
from turbopilot_research.train.samples import PLAIN
from turbopilot_research.train.scratch import Shape, write_blank
from turbopilot_research.train.trees import Course

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jupyter_turbopilot.engine.llama.engine import LlamaEngine
    from jupyter_turbopilot.settings.config import Turbopilot
    from turbopilot_research.train.corpus import TrainingDocument
    from turbopilot_research.train.dataset import Dataset
    from turbopilot_research.train.loop import Log
    from turbopilot_research.train.options import TrainingOptions

HELD_TREES, HELD_ROWS = 24, 32
SHORT = 1024  # tokens per row; longer rows are used while the rate decays
FALL = 0.2  # share of the time in which the rate of whole models decays
COMPILED_FROM = 5.0  # minutes; compilation takes about one
UPPER = 0.5  # share of layers to adapt on a CPU, from the top; all of them would double the cost
CELLS_ON_A_CARD = 16  # per step
WHOLE_BYTES, ADAPTER_BYTES = 16, 4  # per parameter, with optimizer state or without
WORK_BYTES = 3_000_000_000  # for the activations of an adapter's step
OTHER_BYTES = 1_000_000_000  # for libraries and documents


class Trainer:
    """One training of a model; the engine is used as a tokenizer until it ends."""

    def __init__(
        self, options: TrainingOptions, settings: Turbopilot, data: Dataset, engine: LlamaEngine, path: Path
    ) -> None:
        self.options, self.settings, self.path = options, settings, path
        self.data, self.engine = data, engine
        self.device = network.best_device()
        need_memory(path, options, engine.context_size)

    @property
    def resumes(self) -> Path:
        """The file to resume the training from."""
        return self.options.output.with_suffix(".training")

    @property
    def _on_a_card(self) -> bool:
        return self.device.type != "cpu"

    def unpack(self) -> int:
        """Load the model; return the number of steps of the training to resume."""
        options = self.options
        if options.fresh:
            options.forget()
        kind = torch.float32 if options.whole else network.best_type(self.device)
        self._network = network.load(self.path, self.device, kind)
        learning = self._whole() if options.whole else self._adapter()
        usual = SCRATCH_RATE if options.scratch else ADAPTER_RATE
        schedule = loop.Schedule(options.minutes, options.rate or usual, FALL if options.whole else 1.0)
        # Restart a fine-tuning if its base model was trained further.
        origin = sha256_of(self.path) if options.whole and not options.scratch else ""
        self._training = loop.Training(learning, schedule, self.resumes, origin)
        return self._training.log.steps

    def _adapter(self) -> Adapter:
        options = self.options
        layers = self._network.header.number("block_count")
        first = 0 if self._on_a_card else int(layers * (1 - UPPER))
        network.adapt(self._network, options.rank, 2 * options.rank, first)
        layout, end = layout_of(self.engine, self.settings, options.context)
        course = Course(
            self.data.training,
            layout,
            end,
            options.cells or (CELLS_ON_A_CARD if self._on_a_card else 1),
            contexts=Contexts(self.data.training),
        )
        held_out_course = Course(
            self.data.held_out, layout, end, seed=9, contexts=Contexts(self.data.held_out)
        )
        held_out = [*islice(held_out_course.trees(), HELD_TREES)]
        tree_loss = TreeLoss(self._network, () if self._on_a_card else course.tokens_learnt())
        return Adapter(self._network, tree_loss, course, held_out)

    def _whole(self) -> WholeModel:
        network.free(self._network)
        options, data, most = self.options, self.data, self.engine.context_size
        length = min(SHORT, most // 2)
        short = self._rows(".rows", data.training, length, None)
        long = self._rows(".long", data.training, most, math.ceil(short.tokens.size * FALL / most))
        held_out = [*islice(self._laid_out(data.held_out, most, seed=9), HELD_ROWS)]
        layout, end = layout_of(self.engine, self.settings, most)
        marks = Marks.of(layout.form, end)
        return WholeModel(
            self._network, marks, short, long, np.array(held_out), compiled=options.minutes >= COMPILED_FROM
        )

    def _rows(self, ending: str, documents: list[TrainingDocument], length: int, most: int | None) -> Rows:
        path = self.options.output.with_suffix(ending)
        vocabulary = self._network.model.lm_head.weight.shape[0]
        digest = hashlib.blake2b(f"{vocabulary} {length} {most} {LAYOUT} {PLAIN}".encode(), digest_size=16)
        for document in documents:
            digest.update(repr(document).encode())
        if not have_origin(path, digest.digest()):
            write_rows(path, islice(self._laid_out(documents, length), most), vocabulary, digest.digest())
        return read_rows(path)

    def _laid_out(self, documents: list[TrainingDocument], length: int, seed: int = 5) -> Iterator[list[int]]:
        layout, end = row_layout(self.engine, self.settings, length)
        return pack_samples(
            Course(documents, layout, end, seed=seed).plain(), length, Marks.of(layout.form, end)
        )

    def train(self, tell: Callable[[Log, float], None]) -> Log:
        """Train until the time is up; call `tell` after each step with the log and the progress."""
        return self._training.run(tell)

    def write(self) -> None:
        """Write the adapter, or the whole model."""
        output = self.options.output.resolve()
        if self.options.whole:
            network.write_model(self._network, self.path, output)
        else:
            network.write_adapter(self._network, output, f"jupyter-turbopilot: {self.options.paths[0].name}")


def blank(options: TrainingOptions) -> Path:
    """Write an initial model with random weights."""
    path = options.output.with_name(f"{options.output.stem}-blank.gguf").resolve()
    with write_atomically(path, TurbopilotError) as partial:
        write_blank(partial, Shape(options.width, options.layers, options.heads, options.length))
    return path


def layout_of(engine: LlamaEngine, settings: Turbopilot, context: int) -> tuple[Layout, int]:
    """Return the prompt layout with a context of that length, and the end token of answers."""
    vocabulary = engine.vocabulary
    ends = [vocabulary.find_token(text) for text in ("<|endoftext|>", "<|end_of_text|>", "</s>", "<EOT>")]
    silent = [token for token in vocabulary.ends if not vocabulary.piece(token)]
    end = next((token for token in ends if token in vocabulary.ends), min(silent, default=None))
    if end is None:
        raise TurbopilotError("The model's vocabulary has no end token. Choose another model.")
    most = engine.context_size // (2 * vocabulary.unit)
    return Layout(engine, changed(settings, prompt_tokens=min(context, most))), end


def row_layout(engine: LlamaEngine, settings: Turbopilot, length: int) -> tuple[Layout, int]:
    """Return the layout of prompts and answers that fit into rows, and the end token of answers."""
    layout, end = layout_of(engine, settings, length)
    unit = engine.vocabulary.unit
    shares = {"prompt_tokens": max(64, length * 5 // 8 // unit), "max_tokens": length // 4 // unit}
    return Layout(engine, changed(layout.settings, **shares), length // 8 // unit), end


def need_memory(path: Path, options: TrainingOptions, length: int) -> None:
    """Raise an error if the training does not fit into memory; `length` is that of the longest rows."""
    header, device = read_header(path), network.best_device()
    advice = "Close other programs."
    needs = header.parameters * ADAPTER_BYTES + WORK_BYTES
    if options.whole:
        on_a_card = device.type != "cpu"
        work = 0 if on_a_card else step_bytes(header, length, network.best_type(device))
        needs = header.parameters * WHOLE_BYTES + OTHER_BYTES + work
        advice = (
            "Choose a smaller --length, --width or --layers."
            if options.scratch
            else "Train an adapter instead: remove --whole."
        )
    if needs > (free := machine.free_memory()):
        raise TurbopilotError(
            f"Training {path.name} needs {needs / 1e9:.1f} GB of memory; only {free / 1e9:.1f} GB is free. "
            f"{advice}"
        )


def compare(
    before: Turbopilot,
    after: Turbopilot,
    data: Dataset,
    positions: int,
    tell: Callable[[str, int, int], None],
) -> str:
    """Complete lines of the held-out documents with both settings, and return a summary."""
    notebooks = data.notebooks()
    if not positions or not lines.positions(notebooks, 1):
        return "Not tested."
    return lines.compare((("without", before), ("with", after)), notebooks, positions, tell).summary
