"""What this machine lets us use: cores, memory, and whether a model fits."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from jupyter_turbopilot.errors import ModelRefusedError

if TYPE_CHECKING:
    from jupyter_turbopilot.models.gguf import Header

MAX_THREADS = 8
DEFAULT_CONTEXT = 4096
SMALLEST_CONTEXT = 512
COMPUTE_BYTES = 160 * 1024**2  # graph buffers and Python, measured with the default model
_CGROUP = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60


def cores(cgroup: Path = _CGROUP) -> int:
    """Count the cores this process may use: affinity and the container's quota, not the machine's size."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, min(usable, int(quota))) if quota else max(1, usable)


def _quota(cgroup: Path) -> float | None:
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit_v1 = int((cgroup / "cpu/cpu.cfs_quota_us").read_text())
        period_v1 = int((cgroup / "cpu/cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return limit_v1 / period_v1 if limit_v1 > 0 else None


def threads(configured: int = 0) -> int:
    """Return how many threads the model runs on."""
    if configured:
        return configured
    usable = cores()
    physical = psutil.cpu_count(logical=False) or usable
    # Two threads on one core's two halves slow each other down; a quota already counts halves.
    return max(1, min(usable, max(physical, 2), MAX_THREADS))


def free_memory(cgroup: Path = _CGROUP) -> int:
    """Return the bytes that can still be used, the container's limit included."""
    free = int(psutil.virtual_memory().available)
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            cap = int((cgroup / limit).read_text())
            taken = int((cgroup / used).read_text())
        except (OSError, ValueError):
            continue
        if cap < _UNLIMITED:
            # The page cache counts as used but gives way.
            free = min(free, max(0, cap - taken + _reclaimable(cgroup, limit)))
    return free


def _reclaimable(cgroup: Path, limit: str) -> int:
    try:
        stat = (cgroup / limit).with_name("memory.stat").read_text()
    except OSError:
        return 0
    for line in stat.splitlines():
        name, _, value = line.partition(" ")
        if name in {"inactive_file", "total_inactive_file"} and value.isdigit():
            return int(value)
    return 0


@dataclass(frozen=True)
class Plan:
    """How a model is going to be loaded."""

    context_size: int
    threads: int
    needs: int


def plan(header: Header, name: str, *, context_size: int = 0, thread_count: int = 0) -> Plan:
    """Choose context and threads for a model, or refuse it because the memory does not suffice."""
    trained = header.number("context_length", DEFAULT_CONTEXT)
    wanted = min(context_size or DEFAULT_CONTEXT, trained)
    free = free_memory()
    while True:
        needs = header.file_size + header.kv_bytes(wanted) + COMPUTE_BYTES
        if needs <= free:
            return Plan(wanted, threads(thread_count), needs)
        if context_size or wanted // 2 < SMALLEST_CONTEXT:
            raise ModelRefusedError(
                f"{name} needs {needs / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free. "
                "Close something, choose a smaller model, or set c.Turbopilot.context_size lower."
            )
        wanted //= 2
