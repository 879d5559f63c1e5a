"""Plans how to load a model into the free memory."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.base import CHUNK, PIECES, SLOTS
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.models.gguf import stamp
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec  # noqa: TC001 - needed to decode a plan
from jupyter_turbopilot.protocol.errors import ModelRefusedError

if TYPE_CHECKING:
    from jupyter_turbopilot.models.gguf import Header

DEFAULT_CONTEXT = 4096
SMALLEST_CONTEXT = 512
ALL_LAYERS = -1  # on a GPU
SECOND_PROMPT_BYTES = 64 * 1024**2
COMPUTE_BYTES = 16 * 1024**2  # graph buffers
TOKEN_BYTES = 768  # per token of the vocabulary: rows of logits, their copies, the byte table
MAPPED_SHARE = 0.75  # of the free memory
SCORE_BYTES = 6  # per head, token of a batch and cell of the cache, unless attention is fused


@dataclass(frozen=True)
class Hardware:
    """The settings for llama.cpp."""

    gpu_layers: int = 0
    shares_memory: bool = False  # the GPU with the processor
    adapters: tuple[AdapterSpec, ...] = ()
    separate_caches: bool = False  # one for each text, so that attention skips the cells of the others

    @property
    def fused_attention(self) -> bool:
        """Whether llama.cpp computes attention in one fused kernel ("flash attention").

        It needs no memory for scores, and GPUs require it. But on a CPU it makes prompt evaluation only 5 %
        faster, and the few tokens of a keystroke up to twice as slow with a long prompt.
        """
        return self.gpu_layers != 0

    @property
    def stamp(self) -> str:
        """A string that changes with these settings and with the contents of the adapters."""
        files = [Path(adapter.path) for adapter in self.adapters]
        # It is saved to disk, so it must not depend on class names.
        return "|".join((json.dumps(asdict(self)), *(stamp(file) for file in files if file.is_file())))


PLAIN = Hardware()


@dataclass(frozen=True)
class Limits:
    """Limits from the settings; 0 means automatic."""

    context_size: int = 0
    threads: int = 1  # a result of `machine.threads`, never 0
    max_bytes: int = 0
    sequence_bytes: int = 0


@dataclass(frozen=True)
class Sizes:
    """The memory that a model needs, in bytes, and its maximum context size in tokens."""

    trained: int  # the context size that the model was trained for
    weights: int
    token: int  # the keys and values of one token
    compute: int
    scores: int = 0  # the attention scores of a batch, per token of the cache


@dataclass(frozen=True)
class LoadPlan:
    """The settings for loading a model."""

    context_size: int
    threads: int
    needs: int = 0
    cells: int = 0  # tokens of all sequences together
    parked: int = 0  # tokens of sequences outside the cache
    is_mapped: bool = True  # whether the weights are memory-mapped, so that processes share them
    hardware: Hardware = PLAIN


def make_plan(header: Header, name: str, limits: Limits = Limits(), hardware: Hardware = PLAIN) -> LoadPlan:
    """Choose the context size and the cache for a GGUF file; raise ModelRefusedError if it does not fit.

    Weights that take most of the free memory are not mapped: the system could read them again for each token.
    """
    sizes, free = sizes_of(header, hardware), machine.free_memory()
    is_mapped = header.file_size <= MAPPED_SHARE * free
    if not is_mapped:
        sizes = replace(sizes, weights=min(sizes.weights, header.file_size))
    plan = fit(sizes, name, limits, free)
    if hardware.separate_caches:
        cells = SLOTS * plan.context_size
        # Attention scores cover the cells of one text.
        more = sizes.token * (cells - plan.cells) + sizes.scores * (plan.context_size - plan.cells)
        if (needs := plan.needs + more) <= min(free, limits.max_bytes or free):
            plan = replace(plan, cells=cells, needs=needs)
        else:
            hardware = replace(hardware, separate_caches=False)
    return replace(plan, hardware=hardware, is_mapped=is_mapped)


def sizes_of(header: Header, hardware: Hardware = PLAIN) -> Sizes:
    """Estimate the memory for a GGUF file. The measured working memory was lower."""
    on_gpu = header.file_size if hardware.shares_memory else 0
    tokens = header.metadata.get("tokenizer.ggml.tokens", 0)
    heads = 0 if hardware.fused_attention else header.number("attention.head_count")
    return Sizes(
        trained=header.number("context_length", DEFAULT_CONTEXT),
        weights=on_gpu if hardware.gpu_layers < 0 else header.resident,
        token=header.kv_bytes(1),
        compute=COMPUTE_BYTES + TOKEN_BYTES * (tokens if isinstance(tokens, int) else 0),
        scores=heads * CHUNK * PIECES * SCORE_BYTES,  # of the largest batch
    )


def fit(sizes: Sizes, name: str, limits: Limits, free: int) -> LoadPlan:
    """Choose the context size and the cache for a model; raise ModelRefusedError if it does not fit."""
    wanted = min(limits.context_size or DEFAULT_CONTEXT, sizes.trained)
    free = min(free, limits.max_bytes or machine.UNLIMITED)
    parked = limits.sequence_bytes // max(1, sizes.token)
    # Room for the prompts of two users, if it is cheap.
    prompts = 2 if sizes.token * wanted <= SECOND_PROMPT_BYTES else 1
    while True:
        cells = wanted * prompts
        cache = sizes.token * (cells + parked)
        needs = sizes.weights + cache + sizes.compute + sizes.scores * cells
        if needs <= free:
            return LoadPlan(wanted, limits.threads, needs, cells, parked)
        if parked:
            parked = parked // 2 if parked > SMALLEST_CONTEXT else 0  # parked sequences are the least useful
            continue
        if prompts > 1:
            prompts = 1
            continue
        if limits.context_size or wanted // 2 < SMALLEST_CONTEXT:
            gigabytes = f"{free / 1e9:.1f} GB"
            limit = (
                f"c.Turbopilot.max_memory allows {gigabytes}. Raise it"
                if free == limits.max_bytes
                else f"only {gigabytes} is free. Close other programs"
            )
            raise ModelRefusedError(
                f"{name} needs {needs / 1e9:.1f} GB of memory; {limit}, choose a smaller model, or lower "
                "c.Turbopilot.context_size.",
                code="memory",
            )
        wanted //= 2
