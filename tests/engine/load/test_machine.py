from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from jupyter_turbopilot.engine.load import machine


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


def test_lacks_reads_the_flags_of_the_processor(tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text("processor\t: 0\nflags\t\t: fpu avx avx2\n")
    assert not machine.lacks("avx2", told)
    assert machine.lacks("avx512f", told)
    told.write_text("Features\t: fp asimd\n")
    assert not machine.lacks("avx2", told)
    assert not machine.lacks("avx2", tmp_path / "elsewhere")


def test_a_processor_is_known_by_its_model_and_what_it_can_do(tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    cores = [
        f"processor\t: {core}\nmodel name\t: A\ncpu MHz\t: {core}99\nflags\t: fpu avx512f" for core in (0, 1)
    ]
    told.write_text("\n\n".join(cores))
    assert machine.processor(told) == "model name\t: A|flags\t: fpu avx512f"
    told.write_text("\n\n".join(cores).replace(" avx512f", ""))
    assert machine.processor(told) == "model name\t: A|flags\t: fpu"
    assert machine.processor(tmp_path / "elsewhere") == platform.processor()


def test_where_the_system_does_not_tell_which_cores_are_ours_all_of_them_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS and Windows
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert machine.cores(tmp_path) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.cores(tmp_path) == 1


def test_where_no_group_limits_memory_what_the_system_has_free_counts(tmp_path: Path) -> None:
    assert machine.free_memory(tmp_path / "none", tmp_path / "none") > 0
