from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from jupyter_turbopilot.engine.load import machine


def test_cores_are_limited_by_a_containers_quota(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert machine.cores(tmp_path) == 1


@pytest.mark.parametrize(
    ("line", "folder", "files"),
    [
        ("0::/user.slice/jupyter.service", "user.slice", {"cpu.max": "250000 100000"}),
        (
            "2:cpu,cpuacct:/docker/one",
            "cpu/docker/one",
            {"cpu.cfs_quota_us": "250000", "cpu.cfs_period_us": "100000"},
        ),
    ],
)
def test_cores_are_limited_by_the_quota_of_a_service(
    line: str, folder: str, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    own = tmp_path / "own"
    own.write_text(f"1:name=systemd:/\n{line}\n")
    group = tmp_path / folder
    group.mkdir(parents=True)
    for name, text in files.items():
        (group / name).write_text(text)
    assert machine.cores(tmp_path, own) == 2
    own.write_text("1:name=systemd:/\n")
    assert machine.cores(tmp_path, own) == 8


@pytest.mark.parametrize(
    ("line", "folder", "limit", "used"),
    [
        ("0::/system.slice/jupyter.service", "system.slice", "memory.max", "memory.current"),
        ("4:cpu,memory:/user/one", "memory/user/one", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ],
)
def test_free_memory_is_limited_by_parent_cgroups(
    line: str, folder: str, limit: str, used: str, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.write_text(f"1:name=systemd:/\n{line}\n")
    group = tmp_path / folder
    group.mkdir(parents=True)
    (group / limit).write_text("300000000\n")
    (group / used).write_text("200000000\n")
    assert machine.free_memory(tmp_path, own) == 100_000_000


def test_free_memory_is_limited_by_the_container(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("300000000\n")
    (tmp_path / "memory.current").write_text("200000000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 50000000\n")
    assert machine.free_memory(tmp_path) == 150_000_000


def test_lacks_reads_the_flags_of_the_processor(tmp_path: Path) -> None:
    reported = tmp_path / "cpuinfo"
    reported.write_text("processor\t: 0\nflags\t\t: fpu avx avx2\n")
    assert not machine.lacks("avx2", reported)
    assert machine.lacks("avx512f", reported)
    reported.write_text("Features\t: fp asimd\n")
    assert not machine.lacks("avx2", reported)
    assert not machine.lacks("avx2", tmp_path / "elsewhere")


def test_processor_has_model_and_flags(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    cores = [
        f"processor\t: {core}\nmodel name\t: A\ncpu MHz\t: {core}99\nflags\t: fpu avx512f" for core in (0, 1)
    ]
    info.write_text("\n\n".join(cores))
    assert machine.processor(info) == "model name\t: A|flags\t: fpu avx512f"
    info.write_text("\n\n".join(cores).replace(" avx512f", ""))
    assert machine.processor(info) == "model name\t: A|flags\t: fpu"
    assert machine.processor(tmp_path / "missing") == platform.processor()


def test_cores_without_affinity_are_all_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS and Windows
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert machine.cores(tmp_path) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.cores(tmp_path) == 1
