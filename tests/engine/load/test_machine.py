from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.engine.load import machine
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


def test_a_containers_quota_counts_not_the_machines_cores(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert machine.cores(tmp_path) == 1


def test_no_quota_means_all_cores_we_may_use(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.cores(tmp_path) >= 1


@pytest.mark.parametrize(
    ("line", "folder", "limit", "used"),
    [
        ("0::/system.slice/jupyter.service", "system.slice", "memory.max", "memory.current"),
        ("4:cpu,memory:/user/one", "memory/user/one", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ],
)
def test_the_limit_of_a_service_or_of_what_it_stands_in_counts(
    line: str, folder: str, limit: str, used: str, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.write_text(f"1:name=systemd:/\n{line}\n")
    group = tmp_path / folder
    group.mkdir(parents=True)
    (group / limit).write_text("300000000\n")
    (group / used).write_text("200000000\n")
    assert machine.free_memory(tmp_path, own) == 100_000_000


def test_a_containers_memory_limit_counts_not_the_machines(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("300000000\n")
    (tmp_path / "memory.current").write_text("200000000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 50000000\n")
    assert machine.free_memory(tmp_path) == 150_000_000


def test_too_little_memory_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: 400_000_000)
    with pytest.raises(ModelRefusedError, match=r"needs 0\.\d GB of memory and 0\.4 GB are free"):
        machine.plan(MODEL, "m")


def test_a_smaller_context_is_chosen_before_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    full = machine.plan(MODEL, "m").needs
    monkeypatch.setattr(machine, "free_memory", lambda: full - 1)
    assert machine.plan(MODEL, "m").context_size == 2048


def test_a_context_that_was_asked_for_is_not_made_smaller_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    full = machine.plan(MODEL, "m", machine.Wishes(context_size=4096)).needs
    monkeypatch.setattr(machine, "free_memory", lambda: full - 1)
    with pytest.raises(ModelRefusedError):
        machine.plan(MODEL, "m", machine.Wishes(context_size=4096))


def test_a_model_is_never_given_more_context_than_it_was_trained_for() -> None:
    short = Header(MODEL.metadata | {"llama.context_length": 512}, 1, 1000)
    assert machine.plan(short, "m", machine.Wishes(context_size=4096)).context_size == 512


def test_a_smaller_attention_cache_and_a_graphics_card_take_less_memory() -> None:
    whole = machine.plan(MODEL, "m", machine.Wishes(context_size=8192)).needs
    assert (
        machine.plan(MODEL, "m", machine.Wishes(machine.Hardware(cache_type="q8_0"), context_size=8192)).needs
        < whole
    )
    on_card = machine.plan(MODEL, "m", machine.Wishes(machine.Hardware(gpu_layers=-1), context_size=8192))
    assert on_card.needs == whole - MODEL.file_size
    assert on_card.hardware.gpu_layers == -1
