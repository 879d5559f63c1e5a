"""The CPU cores and the memory that this process may use."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from pathlib import Path

import psutil

MAX_THREADS = 8
_CGROUP = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60
_WINDOWS_FEATURES = {"avx": 39, "avx2": 40, "avx512f": 41}  # arguments of IsProcessorFeaturePresent
_FEATURES = ("model name", "flags", "CPU part", "Features")  # on Intel and AMD, on ARM


def cores(cgroup: Path = _CGROUP) -> int:
    """Return the number of usable cores, limited by the CPU affinity and the container's quota."""
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


def threads(configured: int = 0, most: int = 0) -> int:
    """Return the number of threads for computing; `configured` and `most` may be 0 for automatic."""
    count = configured or _suitable_threads()
    return min(count, most or count)


def _suitable_threads() -> int:
    usable = cores()
    physical = psutil.cpu_count(logical=False) or usable
    # Two hyperthreads of a core slow each other down. A quota counts hyperthreads.
    return max(1, min(usable, max(physical, 2), MAX_THREADS))


def processor(info: Path = Path("/proc/cpuinfo")) -> str:
    """Return a string that identifies the CPU model: several machines may share a home folder."""
    try:
        first = info.read_text().split("\n\n")[0]
    except OSError:
        return platform.processor()
    return "|".join(line for line in first.splitlines() if line.startswith(_FEATURES))


def lacks(instructions: str, reported: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether this processor lacks an instruction set, by its name in Linux; False if unknown."""
    if sys.platform == "win32":
        feature = _WINDOWS_FEATURES.get(instructions)
        return feature is not None and not ctypes.windll.kernel32.IsProcessorFeaturePresent(feature)
    try:
        lines = reported.read_text().splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return bool(flags) and instructions not in flags.split()


def free_memory(cgroup: Path = _CGROUP, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return the free memory in bytes, limited by the container."""
    free = int(psutil.virtual_memory().available)
    for group in _groups(cgroup, own):
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            try:
                cap = int((group / limit).read_text())
                taken = int((group / used).read_text())
            except (OSError, ValueError):
                continue
            if cap < UNLIMITED:
                # The page cache counts as used, but can be reclaimed.
                free = min(free, max(0, cap - taken + _reclaimable(group)))
    return free


def _groups(cgroup: Path, own: Path) -> set[Path]:
    """Return the cgroups that may limit this process: a container's root, a service's own and its parents."""
    groups = {cgroup, cgroup / "memory"}
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return groups
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if not controllers or "memory" in controllers.split(","):
            root = cgroup / "memory" if controllers else cgroup
            inner = Path(path.lstrip("/"))
            groups.update(root / part for part in (inner, *inner.parents))
    return groups


def _reclaimable(group: Path) -> int:
    try:
        stat = (group / "memory.stat").read_text()
    except OSError:
        return 0
    for line in stat.splitlines():
        name, _, value = line.partition(" ")
        if name in {"inactive_file", "total_inactive_file"} and value.isdigit():
            return int(value)
    return 0
