"""The phases of an engine."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """The phases of an engine, as reported by `health`."""

    EMPTY = "empty"
    LOADING = "loading"
    READY = "ready"
    GENERATING = "generating"  # it is generating, and a user waits
    UNLOADED = "unloaded"  # its memory was freed; the next request loads it again
    RELOADING = "reloading"  # it is being loaded again, and requests wait
    FAILED = "failed"
    STOPPED = "stopped"
