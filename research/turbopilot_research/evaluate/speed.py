"""`jupyter turbopilot eval speed`: measure prompt evaluation and generation by threads and batch size."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import psutil

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.engine.load.plan import SMALLEST_CONTEXT
from jupyter_turbopilot.protocol.engine_request import Sampling, Usage
from jupyter_turbopilot.protocol.errors import ContextLengthError
from jupyter_turbopilot.terminal.commands.command import add_json
from jupyter_turbopilot.terminal.numeric_options import add_number, whole
from jupyter_turbopilot.util.bounds import MOST_CONTEXT, MOST_THREADS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.settings.config import Turbopilot

TEXT = "def mean(values):\n    return sum(values) / len(values)\n\n\nfor name in names:\n    show(name, 1)\n"


@dataclass(frozen=True)
class Measurement:
    """The results of one configuration."""

    model: str
    size: int
    threads: int
    batch: int
    prompt_tokens: int
    prompt_a_second: float
    written: int
    written_a_second: float
    first_ms: float  # time to first token
    memory: int


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models", metavar="MODEL", nargs="*", help="names or GGUF files; default: the configured one"
    )
    parser.add_argument(
        "-t",
        "--threads",
        type=_several(whole(1, MOST_THREADS)),
        help="numbers of threads, for example 1,2,4; default: 1 and the server's number",
    )
    parser.add_argument(
        "-b",
        "--batch",
        type=_several(whole(1, 4096)),
        default=[64],
        help="batch sizes in tokens, for example 64,256; default: 64",
    )
    add_number(parser, "-p --prompt", whole(1, MOST_CONTEXT), 512, "tokens in the prompt")
    add_number(parser, "-n --length", whole(2, MOST_CONTEXT), 48, "tokens to generate")
    add_number(parser, "-r --rounds", whole(1, 1000), 3, "number of measurements; the best is reported")
    add_json(parser)


def _several(one: Callable[[str], int]) -> Callable[[str], list[int]]:
    """Return the type of comma-separated numbers."""
    return lambda text: [one(part) for part in text.split(",")]


def run(options: argparse.Namespace, settings: Turbopilot) -> int:
    """Measure every configuration and print the results."""
    threads = options.threads or sorted({1, machine.threads()})
    rows = [
        measure(options, settings, model, count, batch)
        for model in options.models or [settings.model]
        for count in threads
        for batch in options.batch
    ]
    print(json.dumps([asdict(row) for row in rows], indent=1) if options.json else table(rows))
    return 0


def measure(
    options: argparse.Namespace, settings: Turbopilot, model: str, threads: int, batch: int
) -> Measurement:
    """Measure one configuration several times and keep the best values: noise only slows runs down."""
    from jupyter_turbopilot.terminal.commands.loading import load, write

    context = max(SMALLEST_CONTEXT, options.prompt + options.length + 8)
    loaded = load(settings, model, threads=threads, context=context, chunk=batch)
    engine = loaded.engine
    try:
        if options.prompt + options.length > engine.context_size:
            raise ContextLengthError(engine.context_size, options.prompt, options.length)
        tokens = engine.vocabulary.tokenize(TEXT)
        prompt = (tokens * (options.prompt // len(tokens) + 1))[: options.prompt]
        runs = []
        for number in range(options.rounds):
            usage = Usage()
            # A different first token in each round prevents reuse of the evaluated prompt.
            varied = [tokens[number % len(tokens)], *prompt[1:]]
            sampling = Sampling(options.length, ignore_end=True)
            list(write(engine, varied, sampling, usage, Cancel()))
            runs.append(usage)
        memory = psutil.Process().memory_info().rss
    finally:
        engine.close()
    return Measurement(
        engine.name,
        loaded.size,
        loaded.threads,
        batch,
        len(prompt),
        max((run.prompt_tokens - run.cached_tokens) / run.prompt_ms * 1000 for run in runs),
        runs[0].predicted_tokens,
        # Prompt evaluation yields the first token.
        max((run.predicted_tokens - 1) / max(run.predicted_ms, 0.001) * 1000 for run in runs),
        min(run.prompt_ms for run in runs),
        memory,
    )


def table(rows: Sequence[Measurement]) -> str:
    lines = [
        (
            "| model | MB | threads | batch | prompt, tokens/s | generation, tokens/s | first token, ms "
            "| memory, MB |"
        ),
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.model} | {row.size / 1e6:.0f} | {row.threads} | {row.batch} | {row.prompt_a_second:.1f} "
        f"| {row.written_a_second:.1f} | {row.first_ms:.0f} | {row.memory / 1e6:.0f} |"
        for row in rows
    ]
    return "\n".join(lines)
