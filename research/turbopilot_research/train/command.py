"""`jupyter turbopilot train`: fine-tune a model to notebooks and code, or train a small one from scratch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.protocol.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.terminal.commands.command import add_model
from jupyter_turbopilot.terminal.commands.progress import Bar
from jupyter_turbopilot.terminal.numeric_options import add_number, real, whole
from jupyter_turbopilot.util.files import describe_size
from turbopilot_research.train.options import ADAPTER_RATE, SCRATCH_RATE, TrainingOptions, changed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from jupyter_turbopilot.settings.config import Turbopilot
    from turbopilot_research.train.dataset import Dataset
    from turbopilot_research.train.loop import Log

MISSING_PACKAGES = 'Training needs extra packages. Run: python -m pip install "turbopilot-research[train]"'
LOSS_STEPS = 50  # steps averaged for the displayed loss
CONTEXT = 4096  # maximum tokens per row


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", metavar="PATH", type=Path, nargs="+", help="folders, notebooks, code, or a prepared .jsonl"
    )
    add_model(parser, "the model to fine-tune")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("adapter.gguf"), help="the file to write (%(default)s)"
    )
    add_number(parser, "--minutes", real(0.01, 100_000), 20.0, "time to train")
    parser.add_argument(
        "--language", nargs="+", default=[], metavar="NAME", help="only code in these languages"
    )
    add_number(parser, "--rank", whole(1, 256), 16, "rank of the adapter: how much it can learn")
    parser.add_argument(
        "--rate", type=real(1e-6, 0.1), help=f"learning rate ({ADAPTER_RATE}; with --scratch, {SCRATCH_RATE})"
    )
    parser.add_argument(
        "--cells", type=whole(0, 256), default=0, help="cells per step; 0: 1 on a CPU, 16 on a GPU"
    )
    add_number(parser, "--context", whole(64, 8192), 768, "maximum prompt length in tokens")
    add_number(parser, "--held-out", real(0.0, 0.5), 0.1, "share of the documents held out for the test")
    add_number(
        parser,
        "--positions",
        whole(0, 100_000),
        200,
        "held-out lines to complete without and with the result; 0: no test",
    )
    parser.add_argument(
        "--plain", action="store_true", help="start from the model as published, without the adapters in use"
    )
    parser.add_argument("--fresh", action="store_true", help="do not resume an interrupted training")
    parser.add_argument(
        "--whole", action="store_true", help="train all weights and write the whole model (for small models)"
    )
    small = parser.add_argument_group("a small character-level model, trained from scratch")
    small.add_argument("--scratch", action="store_true", help="start with random weights")
    add_number(small, "--width", whole(32, 4096), 288, "hidden size")
    add_number(small, "--layers", whole(1, 64), 6, "number of layers")
    add_number(small, "--heads", whole(1, 64), 6, "attention heads per layer")
    add_number(small, "--length", whole(256, CONTEXT), 2048, "context length in characters")
    small.add_argument(
        "--each-language", action="store_true", help="then fine-tune a copy to each language in the documents"
    )
    parser.set_defaults(execute=run_command)


def check(options: TrainingOptions) -> None:
    """Raise an error for options that cannot be combined."""
    if options.output.suffix != ".gguf":
        raise BadRequestError("--output must end with .gguf.", field="output")
    if options.each_language and not options.scratch:
        raise BadRequestError("--each-language needs --scratch.", field="each_language")


def run_command(parsed: argparse.Namespace, settings: Turbopilot) -> int:
    return run(TrainingOptions(**vars(parsed)), settings)


def run(options: TrainingOptions, settings: Turbopilot) -> int:
    """Collect data, train, write and test; optionally fine-tune to each language."""
    check(options)
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError:
        raise TurbopilotError(MISSING_PACKAGES) from None
    from jupyter_turbopilot.engine.load import machine
    from turbopilot_research.train.dataset import gather
    from turbopilot_research.train.scratch import read_model_list, write_for_browsers

    torch.set_num_threads(machine.cores())
    options = options.replace(whole=options.whole or options.scratch)
    if options.scratch:
        read_model_list(options.output)  # report errors before training
    if options.plain or options.whole:
        settings = changed(settings, adapters=[])
    data = gather(options)
    print(
        f"{data.summary}. {data.cells} cells to train on, "
        f"{len(data.held_out)} documents held out for the test."
    )
    data.check()
    _train(options, settings, data)
    if options.scratch:
        written = write_for_browsers(options.output)
        print(f"For browsers: {written}; see the Browser page of the documentation")
    if options.each_language:
        settings = changed(settings, model=str(options.output))
        for language in data.languages():
            print(f"\nFine-tuning to {language}:")
            tune = options.tune(language)
            _train(tune, settings, data.only(language))
            write_for_browsers(tune.output, language)
    return 0


def _train(options: TrainingOptions, before: Turbopilot, data: Dataset) -> None:
    """Train, write and test once."""
    from turbopilot_research.train.loop import draw
    from turbopilot_research.train.trainer import blank, compare

    output = options.output.resolve()
    if options.scratch:
        before = changed(before, model=str(blank(options)))
    log = _learn(options, before, data)
    print(summary(options, log))
    if plot := draw(log, output.with_suffix(".svg")):
        print(f"Plot of the loss: {plot}")
    after = (
        changed(before, model=str(output))
        if options.whole
        else changed(before, adapters=[*before.adapters, str(output)])
    )
    with Bar("testing") as bar:
        verdict = compare(
            before, after, data, options.positions, lambda name, done, total: bar.show(done, total, name)
        )
    print(verdict)
    used = f"model = {after.model!r}" if options.whole else f"adapters = {after.adapters!r}"
    print(f"To use it, set c.Turbopilot.{used}")


def _learn(options: TrainingOptions, settings: Turbopilot, data: Dataset) -> Log:
    """Train with a progress bar and write the result; free the network's memory afterwards."""
    from jupyter_turbopilot.terminal.commands.loading import load
    from turbopilot_research.train.trainer import Trainer

    loaded = load(settings, settings.model, context=CONTEXT)
    try:
        # Training builds on the adapters in use, which must be merged into the model.
        if loaded.hardware.adapters:
            raise TurbopilotError(
                "The adapters in use could not be merged into the model. Add --plain to train without them."
            )
        trainer = Trainer(options, settings, data, loaded.engine, loaded.path)
        print("Loading the model…", file=sys.stderr)
        if steps := trainer.unpack():
            print(f"Resuming {trainer.resumes} from step {steps}", file=sys.stderr)
        with Bar("training") as bar:
            log = trainer.train(_progress_callback(bar))
    finally:
        loaded.engine.close()
    trainer.write()
    return log


def _progress_callback(bar: Bar) -> Callable[[Log, float], None]:
    def tell(log: Log, done: float) -> None:
        latest = [loss for _, loss in log.losses[-LOSS_STEPS:]]
        rate = log.tokens / max(log.seconds, 0.1)
        left = log.seconds / done - log.seconds if done else 0.0
        loss, minutes = sum(latest) / len(latest), left / 60
        words = f"step {log.steps}, loss {loss:.3f}, {rate:.0f} tokens/s, {minutes:.0f} min left"
        bar.show(done, 1.0, words)

    return tell


def summary(options: TrainingOptions, log: Log) -> str:
    size = describe_size(options.output.stat().st_size)
    text = (
        f"{options.output}: {size}. {log.steps} steps, {log.samples} samples, "
        f"{log.tokens / 1e6:.2f} M tokens in {log.seconds / 60:.1f} minutes."
    )
    if log.held:
        text += f" Loss on the held-out documents: {log.held[0][1]:.3f} before, {log.held[-1][1]:.3f} after."
    return text
