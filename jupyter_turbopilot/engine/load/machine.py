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
_OWN_CGROUPS = Path("/proc/self/cgroup")
UNLIMITED = 1 << 60
_WINDOWS_FEATURES = {"avx": 39, "avx2": 40, "avx512f": 41}  # arguments of IsProcessorFeaturePresent
_FEATURES = ("model name", "flags", "CPU part", "Features")  # on Intel and AMD, on ARM


def cores(cgroup: Path = _CGROUP, own: Path = _OWN_CGROUPS) -> int:
    """Return the number of usable cores, limited by the CPU affinity and the quotas of cgroups."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = (_quota(group) for group in _groups(cgroup, own, "cpu"))
    return max(1, int(min((usable, *filter(None, quotas)))))


def _quota(group: Path) -> float | None:
    for files in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        try:
            limit, period = " ".join((group / file).read_text() for file in files).split()
            return int(limit) / int(period) if int(limit) > 0 else None
        except (OSError, ValueError):
            continue
    return None


def threads(configured: int = 0) -> int:
    """Return the number of threads for computing; `configured` may be 0 for automatic."""
    if configured:
        return configured
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


def free_memory(cgroup: Path = _CGROUP, own: Path = _OWN_CGROUPS) -> int:
    """Return the free memory in bytes, limited by the container."""
    free = int(psutil.virtual_memory().available)
    for group in _groups(cgroup, own, "memory"):
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


def _groups(cgroup: Path, own: Path, controller: str) -> set[Path]:
    """Return the cgroups that may limit this process: a container's root, a service's own and its parents."""
    groups = {cgroup, cgroup / controller}
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return groups
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if not controllers or controller in controllers.split(","):
            root = cgroup / controller if controllers else cgroup
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
