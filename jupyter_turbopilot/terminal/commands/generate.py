"""`jupyter turbopilot generate`: continue a text and print timings."""

from __future__ import annotations

import codecs
import json
import random
import sys
import time
from typing import TYPE_CHECKING

import psutil

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.protocol.engine_request import Sampling, Usage
from jupyter_turbopilot.protocol.errors import ContextLengthError
from jupyter_turbopilot.terminal.commands.command import add_json, add_model
from jupyter_turbopilot.terminal.numeric_options import add_number, real, whole
from jupyter_turbopilot.util.bounds import MOST_CONTEXT, MOST_THREADS
from jupyter_turbopilot.util.files import describe_size

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.settings.config import Turbopilot


SUMMARY = """\
prompt          {prompt_tokens} tokens
seed            {seed}
load time       {load_ms:9.2f} ms
prompt time     {prompt_ms:9.2f} ms, {prompt_each:.2f} ms per token
predict time    {predict_ms:9.2f} ms, {predict_each:.2f} ms each of {predicted_tokens}
sample time     {sample_ms:9.2f} ms
total time      {total_ms:9.2f} ms
mem per token   {memory_per_token} bytes of KV cache
memory          {size} resident"""


def declare(parser: argparse.ArgumentParser) -> None:
    add_model(parser, "a GGUF file or a model's name")
    parser.add_argument("-p", "--prompt", help="the text; default: standard input")
    add_number(parser, "-s --seed", whole(-1, (1 << 31) - 1), -1, "random seed; -1: a new one each time")
    add_number(parser, "-t --threads", whole(0, MOST_THREADS), 0, "number of threads; 0: all available cores")
    add_number(parser, "-n --n_predict --n-predict", whole(1, 1 << 20), 200, "maximum tokens to generate")
    add_number(
        parser,
        "--top-k --top_k",
        whole(0, 1 << 20),
        40,
        "sample from this many of the most likely tokens; 0: from all",
    )
    add_number(
        parser,
        "--top-p --top_p",
        real(0.0, 1.0),
        0.9,
        "sample from the most likely tokens with this total probability",
    )
    add_number(parser, "--temp", real(0.0, 100.0), 1.0, "temperature; 0: always the most likely token")
    add_number(parser, "-b --batch", whole(1, 4096), 64, "batch size in tokens")
    parser.add_argument(
        "-c",
        "--context",
        type=whole(0, MOST_CONTEXT),
        default=0,
        help="context size in tokens; 0: as configured",
    )
    add_json(parser, "the text and the timings")
    parser.set_defaults(execute=run)


def run(options: argparse.Namespace, settings: Turbopilot) -> int:
    """Print the continuation as it is generated, then the timings."""
    from jupyter_turbopilot.terminal.commands.loading import Clock, load, write

    prompt = options.prompt if options.prompt is not None else sys.stdin.read()
    seed = options.seed if options.seed >= 0 else random.SystemRandom().randrange(1 << 31)
    begun = time.perf_counter()
    loaded = load(
        settings, settings.model, threads=options.threads, context=options.context, chunk=options.batch
    )
    engine, clock = loaded.engine, Clock(loaded.engine)
    vocabulary = engine.vocabulary
    bos = [vocabulary.markers.bos] if vocabulary.markers.bos is not None else []
    tokens = [*bos, *vocabulary.tokenize(prompt)] or vocabulary.tokenize("\n")
    if len(tokens) >= engine.context_size:
        engine.close()
        raise ContextLengthError(engine.context_size, len(tokens), options.n_predict)
    usage, decoder, pieces = Usage(), codecs.getincrementaldecoder("utf-8")("replace"), []
    sampling = Sampling(options.n_predict, options.temp, top_k=options.top_k, top_p=options.top_p, seed=seed)
    if not options.json:
        print(prompt, end="", flush=True)
    try:
        started = time.perf_counter()
        for token in write(engine, tokens, sampling, usage, Cancel()):
            pieces.append(decoder.decode(token.data))
            if not options.json:
                print(pieces[-1], end="", flush=True)
        wrote = time.perf_counter() - started
        report = {
            "model": engine.name,
            "seed": seed,
            "threads": loaded.threads,
            "prompt_tokens": usage.prompt_tokens,
            "predicted_tokens": usage.predicted_tokens,
            "load_ms": loaded.seconds * 1000,
            "sample_ms": (wrote - clock.seconds) * 1000,
            "prompt_ms": usage.prompt_ms,
            "predict_ms": usage.predicted_ms,
            "total_ms": (time.perf_counter() - begun) * 1000,
            "memory_per_token": loaded.bytes_per_token,
            "memory": psutil.Process().memory_info().rss,
        }
    finally:
        engine.close()
    if options.json:
        print(json.dumps({"prompt": prompt, "text": "".join(pieces), **report}, indent=1))
    else:
        each = {
            "prompt_each": usage.prompt_ms / max(1, usage.prompt_tokens),
            # Prompt evaluation yields the first token.
            "predict_each": usage.predicted_ms / max(1, usage.predicted_tokens - 1),
            "size": describe_size(report["memory"]),
        }
        print("\n\n" + SUMMARY.format_map(report | each), file=sys.stderr)
    return 0
