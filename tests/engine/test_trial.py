from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from jupyter_turbopilot.engine import llama, trial
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama import LlamaEngine
from jupyter_turbopilot.engine.machine import Hardware, Plan
from jupyter_turbopilot.errors import CancelledError, ModelRefusedError
from jupyter_turbopilot.models.adapters import Adapter

from ..tiny_adapter import make

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.engine.stepping import Row

PLAN = Plan(context_size=256, threads=1, needs=0)


def ensure(path: Path, memory: Path, cancel: Cancel | None = None) -> None:
    trial.ensure_loads(path, PLAN, memory, timeout=60, cancel=cancel or Cancel())


def test_a_good_model_passes_and_is_not_tried_again(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "trials.json"
    ensure(tiny_model, memory)
    assert list(json.loads(memory.read_text()).values()) == ["ok"]
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    ensure(tiny_model, memory)


def test_it_is_tried_with_all_that_it_will_be_loaded_with(tiny_model: Path, tmp_path: Path) -> None:
    adapter = make(tmp_path / "a.gguf")
    hardware = Hardware(adapters=(Adapter(str(adapter), 0.5, "r"),), tensor_split=(0.5, 0.5))
    plan = replace(PLAN, hardware=hardware)
    trial.ensure_loads(tiny_model, plan, tmp_path / "trials.json", timeout=60, cancel=Cancel())
    broken = replace(plan, hardware=replace(hardware, adapters=(Adapter(str(tiny_model)),)))
    with pytest.raises(ModelRefusedError, match="is no LoRA adapter"):
        trial.ensure_loads(tiny_model, broken, tmp_path / "trials.json", timeout=60, cancel=Cancel())


@pytest.mark.parametrize("share", [0.25, 0.5, 0.99])
def test_a_cut_file_is_refused_and_this_process_lives(tiny_model: Path, tmp_path: Path, share: float) -> None:
    data = tiny_model.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelRefusedError, match="process of its own"):
        ensure(cut, tmp_path / "trials.json")


def test_a_crash_of_the_child_is_a_verdict(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = tmp_path / "python"
    crash.write_text("#!/bin/sh\nkill -ABRT $$\n")
    crash.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crash))
    with pytest.raises(ModelRefusedError, match="it crashed"):
        ensure(tiny_model, tmp_path / "trials.json")


def test_damaged_memory_costs_another_trial_and_nothing_else(tiny_model: Path, tmp_path: Path) -> None:
    memory = tmp_path / "trials.json"
    memory.write_text("{nonsense")
    ensure(tiny_model, memory)
    assert list(json.loads(memory.read_text()).values()) == ["ok"]


def test_a_load_that_is_called_off_kills_the_child_and_leaves_no_verdict(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    cancel = Cancel()
    threading.Timer(0.2, cancel.set, args=("stopped",)).start()
    begun = time.monotonic()
    with pytest.raises(CancelledError):
        ensure(tiny_model, tmp_path / "trials.json", cancel)
    assert time.monotonic() - begun < 5
    assert not (tmp_path / "trials.json").exists()


def test_the_trial_reads_a_batch_since_those_are_computed_otherwise(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    class Watched(LlamaEngine):
        def evaluate(self, rows: Sequence[Row], attention: Cancel | None) -> bool:
            sizes.append(len(rows))
            return super().evaluate(rows, attention)

    monkeypatch.setattr(llama, "LlamaEngine", Watched)
    trial.main([str(tiny_model), msgspec.json.encode(replace(PLAN, cells=256))])
    assert max(sizes) >= 32


def test_an_engine_that_is_installed_anew_is_tried_anew(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "trials.json"
    for name in ("one", "another"):
        monkeypatch.setattr(llama, "installed", lambda name=name: name)
        ensure(tiny_model, memory)
    assert len(json.loads(memory.read_text())) == 2
