from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.batch_sizes import CHUNK
from jupyter_turbopilot.engine.llama import engine as llama
from jupyter_turbopilot.engine.load.loader import load
from jupyter_turbopilot.engine.load.plan import Hardware, Plan

if TYPE_CHECKING:
    import pytest

PLAN = Plan(256, 1, needs=0, cells=512, parked=64, hardware=Hardware(cache_type="f16"))


def test_a_real_model_is_loaded_as_planned(tiny_model: Path) -> None:
    engine = load(tiny_model, PLAN, name="tiny")
    try:
        assert (engine.name, engine.fim, engine.context_size) == ("tiny", "auto", 256)
        assert engine.chunk == CHUNK
    finally:
        engine.close()


def test_all_of_a_plan_reaches_the_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[Any] = []
    monkeypatch.setattr(llama, "LlamaEngine", lambda *path, **more: given.append((*path, more)))
    load(tmp_path, PLAN, name="m", fim="qwen", chunk=8, snapshot=tmp_path / "kept")
    ((path, more),) = given
    assert path == tmp_path
    assert more == {
        "name": "m", "fim": "qwen", "context_size": 256, "threads": 1, "cells": 512, "parked": 64,
        "state": tmp_path / "kept", "hardware": PLAN.hardware, "chunk": 8,
    }  # fmt: skip
