from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.engine.base import CHUNK
from jupyter_turbopilot.engine.llama import engine as llama
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.engine.load.plan import Hardware, Limits, LoadPlan, load, make_plan, score_bytes
from jupyter_turbopilot.errors import ModelRefusedError
from jupyter_turbopilot.models.gguf import Header

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


def test_too_little_memory_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: 400_000_000)
    with pytest.raises(ModelRefusedError, match=r"needs 0\.\d GB of memory; only 0\.4 GB is free"):
        make_plan(MODEL, "m")


def test_a_smaller_context_is_chosen_before_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    full = make_plan(MODEL, "m").needs
    monkeypatch.setattr(machine, "free_memory", lambda: full - 1)
    assert make_plan(MODEL, "m").context_size == 2048


def test_a_context_that_was_asked_for_is_not_made_smaller_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    full = make_plan(MODEL, "m", Limits(context_size=4096)).needs
    monkeypatch.setattr(machine, "free_memory", lambda: full - 1)
    with pytest.raises(ModelRefusedError):
        make_plan(MODEL, "m", Limits(context_size=4096))


def test_a_model_is_never_given_more_context_than_it_was_trained_for() -> None:
    short = Header(MODEL.metadata | {"llama.context_length": 512}, 1, 1000)
    assert make_plan(short, "m", Limits(context_size=4096)).context_size == 512


def test_a_smaller_attention_cache_and_a_graphics_card_take_less_memory() -> None:
    whole = make_plan(MODEL, "m", Limits(context_size=8192)).needs
    assert make_plan(MODEL, "m", Limits(context_size=8192), Hardware(cache_type="q8_0")).needs < whole
    on_card = make_plan(MODEL, "m", Limits(context_size=8192), Hardware(gpu_layers=-1))
    scores = score_bytes(MODEL) * on_card.cells
    assert on_card.needs == whole - MODEL.file_size - scores
    assert on_card.hardware.gpu_layers == -1


@pytest.mark.parametrize(
    ("hardware", "fused"),
    [(Hardware(), False), (Hardware(gpu_layers=-1), True), (Hardware(cache_type="q8_0"), True)],
)
def test_attention_is_fused_on_a_graphics_card_and_with_a_quantized_cache_only(
    hardware: Hardware, fused: bool
) -> None:
    assert hardware.fused_attention is fused
    assert (score_bytes(MODEL, hardware) == 0) is fused


def test_what_was_kept_for_one_kind_of_attention_is_not_used_with_the_other() -> None:
    assert "plain" in Hardware().stamp
    assert "fused" in Hardware(cache_type="q8_0").stamp


PLANNED = LoadPlan(256, 1, needs=0, cells=512, parked=64, hardware=Hardware(cache_type="f16"))


def test_a_real_model_is_loaded_as_planned(tiny_model: Path) -> None:
    engine = load(tiny_model, PLANNED, name="tiny")
    try:
        assert (engine.name, engine.fim, engine.context_size) == ("tiny", "auto", 256)
        assert engine.chunk == CHUNK
        assert engine._lib.llama_n_ctx(engine._context) == PLANNED.cells
    finally:
        engine.close()


def test_all_of_a_plan_reaches_the_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[Any] = []
    monkeypatch.setattr(llama, "LlamaEngine", lambda *path, **more: given.append((*path, more)))
    load(tmp_path, PLANNED, name="m", fim="qwen", chunk=8, snapshot=tmp_path / "kept")
    ((path, more),) = given
    assert path == tmp_path
    assert more == {
        "name": "m", "fim": "qwen", "context_size": 256, "threads": 1, "cells": 512, "parked": 64,
        "state": tmp_path / "kept", "hardware": PLANNED.hardware, "chunk": 8,
    }  # fmt: skip
