"""What this machine lets us use: cores, memory, and whether a model fits."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from jupyter_turbopilot.errors import ModelRefusedError
from jupyter_turbopilot.models.gguf import stamp
from jupyter_turbopilot.models.tuning.adapters import Adapter  # noqa: TC001 - a plan is read back from JSON

if TYPE_CHECKING:
    from jupyter_turbopilot.models.gguf import Header

MAX_THREADS = 8
DEFAULT_CONTEXT = 4096
SMALLEST_CONTEXT = 512
SECOND_PROMPT_BYTES = 64 * 1024**2
COMPUTE_BYTES = 16 * 1024**2  # graph buffers
TOKEN_BYTES = 768  # for each token of the vocabulary: rows of logits, their copies, the table of bytes
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


def free_memory(cgroup: Path = _CGROUP, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return the bytes that can still be used, the container's limit included."""
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
            if cap < _UNLIMITED:
                # The page cache counts as used but gives way.
                free = min(free, max(0, cap - taken + _reclaimable(group)))
    return free


def _groups(cgroup: Path, own: Path) -> set[Path]:
    """Return the groups that limit us: a container sees its own as the root, a service further down."""
    found = {cgroup, cgroup / "memory"}
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if not controllers or "memory" in controllers.split(","):
            root = cgroup / "memory" if controllers else cgroup
            inner = Path(path.lstrip("/"))
            found.update(root / part for part in (inner, *inner.parents))
    return found


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


CACHE_TYPES = {"f16": 1.0, "q8_0": 34 / 64, "q4_0": 18 / 64}  # of the attention cache, and their size


@dataclass(frozen=True)
class Hardware:
    """What is handed through to llama.cpp."""

    gpu_layers: int = 0  # -1: all
    main_gpu: int = 0
    tensor_split: tuple[float, ...] = ()
    cache_type: str = "f16"
    memory_map: bool = True  # weights stay in the file and are read where they are needed
    adapters: tuple[Adapter, ...] = ()  # beside the model

    @property
    def stamp(self) -> str:
        """Return what tells these settings from others, and an adapter from one trained anew."""
        files = [Path(adapter.path) for adapter in self.adapters]
        return "|".join((str(self), *(stamp(file) for file in files if file.is_file())))


PLAIN = Hardware()


@dataclass(frozen=True)
class Wishes:
    """What the settings say about memory and threads; 0 leaves it to the machine."""

    hardware: Hardware = PLAIN
    context_size: int = 0
    threads: int = 0
    max_threads: int = 0
    max_bytes: int = 0
    sequence_bytes: int = 0


@dataclass(frozen=True)
class Plan:
    """How a model is going to be loaded."""

    context_size: int
    threads: int
    needs: int
    cells: int = 0  # tokens of all sequences together
    parked: int = 0  # tokens kept outside the cache
    hardware: Hardware = PLAIN


def compute_bytes(header: Header) -> int:
    """Estimate what computing takes beside weights and attention cache; more than was measured."""
    tokens = header.metadata.get("tokenizer.ggml.tokens", 0)
    return COMPUTE_BYTES + TOKEN_BYTES * (tokens if isinstance(tokens, int) else 0)


def plan(header: Header, name: str, wishes: Wishes = Wishes()) -> Plan:
    """Choose context, sequences and threads for a model, or refuse it because the memory does not suffice."""
    trained = header.number("context_length", DEFAULT_CONTEXT)
    wanted = min(wishes.context_size or DEFAULT_CONTEXT, trained)
    free = min(free_memory(), wishes.max_bytes or _UNLIMITED)
    count = threads(wishes.threads)
    count = min(count, wishes.max_threads or count)
    hardware = wishes.hardware
    kept = CACHE_TYPES[hardware.cache_type]
    # What a graphics card holds takes nothing of this memory.
    weights = 0 if hardware.gpu_layers < 0 else header.file_size
    parked = int(wishes.sequence_bytes // max(1, header.kv_bytes(1) * kept))
    # Room for several people at a time, where it is cheap.
    prompts = 2 if header.kv_bytes(wanted) * kept <= SECOND_PROMPT_BYTES else 1
    while True:
        cells = wanted * prompts
        needs = weights + int(header.kv_bytes(cells + parked) * kept) + compute_bytes(header)
        if needs <= free:
            return Plan(wanted, count, needs, cells, parked, hardware)
        if parked:
            parked = parked // 2 if parked > SMALLEST_CONTEXT else 0  # what is kept for later goes first
            continue
        if prompts > 1:
            prompts = 1
            continue
        if wishes.context_size or wanted // 2 < SMALLEST_CONTEXT:
            limit = "c.Turbopilot.max_memory allows" if free == wishes.max_bytes else "are free"
            raise ModelRefusedError(
                f"{name} needs {needs / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB {limit}. "
                "Close something, choose a smaller model, or set c.Turbopilot.context_size lower.",
                code="memory",
            )
        wanted //= 2
