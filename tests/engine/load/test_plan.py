from __future__ import annotations

from dataclasses import replace

import pytest

from jupyter_turbopilot.engine.base import SLOTS
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.engine.load.plan import Hardware, Limits, make_plan, sizes_of
from jupyter_turbopilot.models.ggml import F32, Q4_0
from jupyter_turbopilot.models.gguf import GGUFTensor, Header
from jupyter_turbopilot.protocol.errors import ModelRefusedError

MODEL = Header(
    metadata={
        "general.architecture": "llama",
        "llama.context_length": 8192,
        "llama.block_count": 24,
        "llama.embedding_length": 1024,
        "llama.attention.head_count": 16,
        "llama.attention.head_count_kv": 4,
    },
    parts=(),
    file_size=500_000_000,
)


def test_make_plan_rejects_insufficient_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: 400_000_000)
    with pytest.raises(ModelRefusedError, match=r"needs 0\.\d GB of memory; only 0\.4 GB is free"):
        make_plan(MODEL, "m")


def test_make_plan_shrinks_the_context_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    full = make_plan(MODEL, "m").needs
    monkeypatch.setattr(machine, "free_memory", lambda: full - 1)
    assert make_plan(MODEL, "m").context_size == 2048


def test_make_plan_needs_less_memory_with_a_gpu() -> None:
    whole = make_plan(MODEL, "m", Limits(context_size=8192)).needs
    on_card = make_plan(MODEL, "m", Limits(context_size=8192), Hardware(gpu_layers=-1))
    scores = sizes_of(MODEL).scores * on_card.cells
    assert on_card.needs == whole - MODEL.file_size - scores
    assert on_card.hardware.gpu_layers == -1


REPACKED_SIZE = 100_000_000
NORM = GGUFTensor("output_norm.weight", (64,), F32, 256, offset=REPACKED_SIZE)
MATRIX = GGUFTensor("blk.0.ffn_up.weight", (64, 64), Q4_0, REPACKED_SIZE)
REPACKED = replace(MODEL, parts=(MATRIX, NORM))


def test_make_plan_counts_repacked_weights_twice_while_mapped() -> None:
    last = replace(MODEL, parts=(NORM._replace(offset=0), MATRIX._replace(offset=256)))
    plain = make_plan(MODEL, "m").needs
    assert make_plan(REPACKED, "m").needs == plain + REPACKED_SIZE
    assert make_plan(last, "m").needs == plain


def test_make_plan_maps_no_weights_that_take_most_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    mapped = make_plan(REPACKED, "m")
    monkeypatch.setattr(machine, "free_memory", lambda: REPACKED.file_size * 4 // 3 - 4)
    loaded = make_plan(REPACKED, "m")
    assert (mapped.is_mapped, loaded.is_mapped) == (True, False)
    assert loaded.needs <= mapped.needs - REPACKED_SIZE


def test_make_plan_reserves_separate_caches_if_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    separate = Hardware(separate_caches=True)
    plan = make_plan(MODEL, "m", Limits(), separate)
    assert (plan.cells, plan.hardware) == (SLOTS * plan.context_size, separate)
    monkeypatch.setattr(machine, "free_memory", lambda: plan.needs - 1)
    smaller = make_plan(MODEL, "m", Limits(), separate)
    assert (smaller.context_size, smaller.hardware) == (plan.context_size, Hardware())
    monkeypatch.setattr(machine, "free_memory", lambda: plan.needs)
    assert make_plan(MODEL, "m", Limits(), separate) == plan
    parked = make_plan(MODEL, "m", Limits(sequence_bytes=50_000_000), separate)
    assert parked.parked > 0
    assert parked.hardware == Hardware()
