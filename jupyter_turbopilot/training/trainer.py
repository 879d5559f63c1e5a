"""A training from the model's file to what is written: an adapter, or a whole model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.evaluate import lines
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.prompt.layout import Layout
from jupyter_turbopilot.training import loop, network
from jupyter_turbopilot.training.course import Course
from jupyter_turbopilot.training.options import ADAPTER_RATE, SCRATCH_RATE, changed
from jupyter_turbopilot.training.scratch import Shape, write_blank

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.engine.llama.engine import LlamaEngine
    from jupyter_turbopilot.training.dataset import Dataset
    from jupyter_turbopilot.training.loop import Log
    from jupyter_turbopilot.training.options import TrainingOptions

HELD_TREES = 24
UPPER = 0.5  # which share of the layers is adapted, from the top: the others would cost as much again
CELLS_ON_A_CARD = 16  # a step
WHOLE_BYTES, ADAPTER_BYTES = 16, 4  # for each weight: with what it changes by, or alone
WORK_BYTES = 3_000_000_000  # for what a step computes


class Trainer:
    """Trains a model once; the engine cuts texts into the model's tokens until the training has ended."""

    def __init__(
        self, options: TrainingOptions, settings: Turbopilot, data: Dataset, engine: LlamaEngine, path: Path
    ) -> None:
        self.options, self.path = options, path
        self.device = network.best_device()
        layout, end = layout_of(engine, settings, options.context)
        cells = options.cells or (CELLS_ON_A_CARD if self._on_a_card else 1)
        self.course = Course(data.training, layout, end, cells)
        self._held_out = Course(data.held_out, layout, end, seed=9).some(HELD_TREES)
        need_memory(path, whole=options.whole)

    @property
    def resumes(self) -> Path:
        """The file by which a training that was stopped is resumed."""
        return self.options.output.with_suffix(".training")

    @property
    def _on_a_card(self) -> bool:
        return self.device.type != "cpu"

    def unpack(self) -> int:
        """Unpack the model; return the step that an earlier training stopped at."""
        options, resumes = self.options, self.resumes
        self._network = network.load(self.path, self.device, network.best_type(self.device))
        schedule = loop.Schedule(options.minutes, options.rate or ADAPTER_RATE)
        if options.whole:
            network.free(self._network)
            schedule.text_weight = 1.0
            schedule.rate = options.rate or (SCRATCH_RATE if options.scratch else ADAPTER_RATE)
        else:
            layers = self._network.header.number("block_count")
            first = 0 if self._on_a_card else int(layers * (1 - UPPER))
            network.adapt(self._network, options.rank, 2 * options.rank, first)
        if options.fresh:
            resumes.unlink(missing_ok=True)
        tree_loss = loop.TreeLoss(self._network, () if self._on_a_card else self.course.words())
        self._training = loop.Training(self._network, tree_loss, self._held_out, schedule, resumes)
        return self._training.log.steps

    def train(self, tell: Callable[[Log, float], None]) -> Log:
        """Train until the time is up; tell after each step how it goes and which share is done."""
        return self._training.run(self.course.trees, tell)

    def write(self) -> None:
        """Write the adapter, or the whole model."""
        output = self.options.output.resolve()
        if self.options.whole:
            network.write_model(self._network, self.path, output)
        else:
            network.write_adapter(self._network, output, f"jupyter-turbopilot: {self.options.paths[0].name}")


def blank(options: TrainingOptions) -> Path:
    """Write a model of random weights to begin with."""
    path = options.output.with_name(f"{options.output.stem}-blank.gguf").resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_blank(path, Shape(options.width, options.layers, options.heads, options.length))


def layout_of(engine: LlamaEngine, settings: Turbopilot, context: int) -> tuple[Layout, int]:
    """Return what lays prompts out as the product does, and the token that ends an answer."""
    vocabulary = engine.vocabulary
    ends = [vocabulary.find_token(text) for text in ("<|endoftext|>", "<|end_of_text|>", "</s>", "<EOT>")]
    end = next((token for token in ends if token in vocabulary.ends), min(vocabulary.ends, default=None))
    if end is None:
        raise TurbopilotError("The model's vocabulary has no token that ends a text.")
    most = engine.context_size // (2 * vocabulary.unit)
    return Layout(engine, changed(settings, prompt_tokens=min(context, most))), end


def need_memory(path: Path, *, whole: bool) -> None:
    """Refuse in words what the memory does not suffice for."""
    needs = read_header(path).parameters * (WHOLE_BYTES if whole else ADAPTER_BYTES) + WORK_BYTES
    if needs > (free := machine.free_memory()):
        advice = " Train an adapter: leave --whole out." if whole else " Close other programs."
        raise TurbopilotError(
            f"Training {path.name} takes {needs / 1e9:.1f} GB of memory; only {free / 1e9:.1f} GB is free."
            f"{advice}"
        )


def compare(
    before: Turbopilot, after: Turbopilot, data: Dataset, places: int, tell: Callable[[str, int, int], None]
) -> str:
    """Complete lines of what was kept apart, before and after, and say whether it helped."""
    notebooks = data.notebooks()
    if not places or not lines.places(notebooks, 1):
        return "Not tested."
    return lines.compare((("without", before), ("with", after)), notebooks, places, tell).words
