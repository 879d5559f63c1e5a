from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama import load_test
from jupyter_turbopilot.engine.llama.load_test import REFUSED, Load, judge
from jupyter_turbopilot.engine.load.plan import Hardware, LoadPlan
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec
from jupyter_turbopilot.protocol.errors import EngineMissingError, ModelRefusedError

from ...tiny_adapter import make
from .children import change, play

if TYPE_CHECKING:
    from pathlib import Path

PLAN = LoadPlan(context_size=256, threads=1, needs=0)


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "trials.json"


def ensure(path: Path, memory: Path, plan: LoadPlan = PLAN) -> None:
    load_test.ensure_loads(Load(str(path), plan, path.name), memory, Cancel())


def test_load_test_includes_adapters_and_settings(tiny_model: Path, tmp_path: Path, memory: Path) -> None:
    adapter = make(tmp_path / "a.gguf")
    hardware = Hardware(adapters=(AdapterSpec(str(adapter), 0.5),))
    ensure(tiny_model, memory, replace(PLAN, hardware=hardware))
    broken = replace(PLAN, hardware=replace(hardware, adapters=(AdapterSpec(str(tiny_model)),)))
    with pytest.raises(ModelRefusedError, match=r"^tiny.* is not a LoRA adapter"):
        ensure(tiny_model, memory, broken)


@pytest.mark.parametrize("script", ["kill -KILL $$", "echo 'ImportError' >&2; exit 1", "exec sleep 60"])
def test_load_test_saves_no_temporary_failures(
    script: str, tiny_model: Path, tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        play(tmp_path, patch, script)
        patch.setattr(load_test, "LOAD_SECONDS", 0.3)
        with pytest.raises(ModelRefusedError) as refused:
            ensure(tiny_model, memory)
    assert refused.value.code in {"memory", "load_test"}
    assert not memory.exists()
    ensure(tiny_model, memory)


@pytest.mark.parametrize("script", ["kill -SEGV $$", "echo 'it is no model' >&2; exit 3"])
def test_load_test_saves_failures_until_file_or_settings_change(
    script: str, tiny_model: Path, tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "own.gguf"
    model.write_bytes(tiny_model.read_bytes())
    with monkeypatch.context() as patch:
        play(tmp_path, patch, script)
        with pytest.raises(ModelRefusedError, match=r"it crashed|it is no model"):
            ensure(model, memory)
    with pytest.raises(ModelRefusedError, match=r"it crashed|it is no model"):
        ensure(model, memory)
    ensure(model, memory, replace(PLAN, threads=2))
    model.touch()
    ensure(model, memory)


def test_load_test_rejects_a_crash_in_the_first_batch(
    tiny_model: Path, tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = """
        import os
        from jupyter_turbopilot.engine.llama.engine import LlamaEngine

        evaluate = LlamaEngine.evaluate

        def crash(self, rows, interrupt):
            if len(rows) >= 32:
                os.abort()
            return evaluate(self, rows, interrupt)

        LlamaEngine.evaluate = crash
    """
    change(tmp_path, monkeypatch, changes)
    with pytest.raises(ModelRefusedError, match="it crashed"):
        ensure(tiny_model, memory, replace(PLAN, cells=256))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("MemoryError", "memory"),
        ("TypeError", "load_test"),
        ("EngineError('decode failed')", "model_refused"),
    ],
)
def test_load_test_saves_permanent_failures_of_the_first_batch(
    error: str, code: str, tiny_model: Path, tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = f"""
        from jupyter_turbopilot.protocol.errors import EngineError
        from jupyter_turbopilot.engine.llama.engine import LlamaEngine

        def fail(self, rows, interrupt):
            raise {error}

        LlamaEngine.evaluate = fail
    """
    change(tmp_path, monkeypatch, changes)
    with pytest.raises(ModelRefusedError) as refused:
        ensure(tiny_model, memory)
    assert refused.value.code == code
    assert memory.exists() == (code == "model_refused")


def test_load_test_reports_a_missing_engine_with_the_command_that_builds_it(
    tiny_model: Path, tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = """
        from jupyter_turbopilot.protocol.errors import EngineMissingError
        from jupyter_turbopilot.engine.llama.engine import LlamaEngine

        def fail(self, rows, interrupt):
            raise EngineMissingError("There is no engine.", "pip install it")

        LlamaEngine.evaluate = fail
    """
    change(tmp_path, monkeypatch, changes)
    with pytest.raises(EngineMissingError, match=r"There is no engine\. Run: pip install it"):
        ensure(tiny_model, memory)
    assert not memory.exists()


def test_load_test_replaces_a_damaged_file(tiny_model: Path, memory: Path) -> None:
    memory.write_text("{nonsense")
    ensure(tiny_model, memory)
    assert list(json.loads(memory.read_text()).values()) == ["ok"]


def test_load_survives_encoding() -> None:
    hardware = Hardware(1, True, (AdapterSpec("a.gguf", 0.5),))
    load = Load("/a/model.gguf", LoadPlan(256, 2, 3, 4, 5, False, hardware), "name")
    assert msgspec.json.decode(msgspec.json.encode(load), type=Load) == load


def test_child_process_gets_no_secrets(
    tiny_model: Path, tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "HF_TOKEN",
        "TURBOPILOT_ENGINE_KEY",
        "JUPYTERHUB_API_TOKEN",
        "OPENAI_API_KEY",
        "SOMETHING_ELSE",
    ):
        monkeypatch.setenv(name, "hunter2")
    play(tmp_path, monkeypatch, f"env > {tmp_path}/environment; exit 1")
    with pytest.raises(ModelRefusedError):
        ensure(tiny_model, memory)
    assert (tmp_path / "environment").read_text().count("hunter2") == 1


def test_load_test_reports_that_it_could_not_start(
    tiny_model: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", full)
    with pytest.raises(ModelRefusedError, match="Cannot allocate memory") as refused:
        ensure(tiny_model, memory)
    assert refused.value.code == "memory"


@pytest.mark.parametrize(
    ("status", "output", "code"),
    [
        (-15, "", "load_test"),
        (-2, "", "load_test"),
        (-6, "GGML_ASSERT(false) failed", "model_refused"),
        (0xC0000005, "", "model_refused"),
        (-4, "", "engine_missing"),
        (0xC000001D, "", "engine_missing"),
        (REFUSED, "unknown model architecture", "model_refused"),
        (REFUSED, "failed to open GGUF file (Too many open files)", "load_test"),
    ],
)
def test_judge_separates_file_errors_from_others(status: int, output: str, code: str) -> None:
    assert judge(status, output).code == code
