from __future__ import annotations

import json
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama import bindings
from jupyter_turbopilot.engine.llama import engine as llama
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load import trial
from jupyter_turbopilot.engine.load.plan import Hardware, Plan
from jupyter_turbopilot.errors import CancelledError, ModelRefusedError
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec

from ...tiny_adapter import make

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.engine.step_run import BatchToken

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


def test_nothing_in_the_folder_of_the_notebooks_is_run(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "numpy", "msgspec"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    ensure(tiny_model, tmp_path / "trials.json")


def test_it_is_tried_with_all_that_it_will_be_loaded_with(tiny_model: Path, tmp_path: Path) -> None:
    adapter = make(tmp_path / "a.gguf")
    hardware = Hardware(adapters=(AdapterSpec(str(adapter), 0.5, "r"),), tensor_split=(0.5, 0.5))
    plan = replace(PLAN, hardware=hardware)
    trial.ensure_loads(tiny_model, plan, tmp_path / "trials.json", timeout=60, cancel=Cancel())
    broken = replace(plan, hardware=replace(hardware, adapters=(AdapterSpec(str(tiny_model)),)))
    with pytest.raises(ModelRefusedError, match="is not a LoRA adapter"):
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


def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Play the child."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


@pytest.fixture
def heard() -> Iterator[None]:
    """Let a child hear signals that whoever started the tests had them ignore, as nohup does."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGHUP, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize(
    "script",
    [
        "kill -KILL $$",
        "kill -TERM $$",
        "kill -INT $$",
        "kill -HUP $$",
        "echo \"terminate called after throwing an instance of 'std::bad_alloc'\" >&2; kill -ABRT $$",
        "echo 'ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 9' >&2; exit 3",
        "echo MemoryError >&2; exit 1",
        "echo 'gguf_init_from_file: failed to open GGUF file (Too many open files)' >&2; exit 3",
        "echo 'ImportError: it is being installed' >&2; exit 1",
        "exec sleep 60",
    ],
)
def test_what_the_file_did_not_cause_is_not_remembered(
    script: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "trials.json"
    with monkeypatch.context() as patch:
        child(tmp_path, patch, script)
        with pytest.raises(ModelRefusedError) as refused:
            trial.ensure_loads(tiny_model, PLAN, memory, timeout=0.3, cancel=Cancel())
    assert refused.value.code in {"memory", "trial"}
    assert not memory.exists()
    ensure(tiny_model, memory)


@pytest.mark.parametrize(
    ("status", "said", "code", "lasting"),
    [
        (-9, "", "memory", False),
        (-15, "", "trial", False),
        (-6, "what():  std::bad_alloc", "memory", False),
        (-6, "GGML_ASSERT(false) failed", "model_refused", True),
        (-11, "", "model_refused", True),
        (0xC0000005, "", "model_refused", True),
        (trial.REFUSED, "it does not know this kind of model", "model_refused", True),
        (1, "ModuleNotFoundError", "trial", False),
    ],
)
def test_a_childs_end_tells_what_was_at_fault(status: int, said: str, code: str, lasting: bool) -> None:
    verdict = trial.judge(status, said)
    assert (verdict.code, verdict.lasting) == (code, lasting)


@pytest.mark.parametrize("script", ["kill -SEGV $$", "kill -ILL $$", "echo 'it is no model' >&2; exit 3"])
def test_what_the_file_causes_is_remembered_until_the_file_or_a_setting_changes(
    script: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, memory = tmp_path / "own.gguf", tmp_path / "trials.json"
    model.write_bytes(tiny_model.read_bytes())
    with monkeypatch.context() as patch:
        child(tmp_path, patch, script)
        with pytest.raises(ModelRefusedError, match=r"it crashed|it is no model"):
            ensure(model, memory)
    with pytest.raises(ModelRefusedError, match=r"it crashed|it is no model"):
        ensure(model, memory)
    trial.ensure_loads(model, replace(PLAN, threads=2), memory, timeout=60, cancel=Cancel())
    model.touch()
    ensure(model, memory)


def test_a_child_that_says_much_is_not_waited_for(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(tmp_path, monkeypatch, "yes 'a long word' | head -c 1000000 >&2; exit 0")
    ensure(tiny_model, tmp_path / "trials.json")


def test_no_process_is_said_in_words(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("subprocess.Popen", full)
    with pytest.raises(ModelRefusedError, match="Cannot allocate memory") as refused:
        ensure(tiny_model, tmp_path / "trials.json")
    assert refused.value.code == "memory"


def test_damaged_memory_costs_another_trial_and_nothing_else(tiny_model: Path, tmp_path: Path) -> None:
    memory = tmp_path / "trials.json"
    memory.write_text("{nonsense")
    ensure(tiny_model, memory)
    assert list(json.loads(memory.read_text()).values()) == ["ok"]


def test_a_load_that_is_called_off_kills_the_child_and_leaves_no_verdict(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    cancel = Cancel()
    threading.Timer(0.2, cancel.set, args=("stopped",)).start()
    with pytest.raises(CancelledError):
        ensure(tiny_model, tmp_path / "trials.json", cancel)
    assert not (tmp_path / "trials.json").exists()


def test_the_trial_reads_a_batch_since_those_are_computed_otherwise(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    class Watched(LlamaEngine):
        def evaluate(self, rows: Sequence[BatchToken], attention: Cancel | None) -> bool:
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
        monkeypatch.setattr(bindings, "installation", lambda name=name: name)
        ensure(tiny_model, memory)
    assert len(json.loads(memory.read_text())) == 2


def test_what_another_processor_could_load_is_tried_on_this_one(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "trials.json"
    for name in ("with AVX-512", "without"):
        monkeypatch.setattr(trial, "processor", lambda name=name: name)
        ensure(tiny_model, memory)
    assert len(json.loads(memory.read_text())) == 2
