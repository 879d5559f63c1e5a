"""The admission of a request: what the server has decided about its caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.kernel_context import NONE, KernelContext
from jupyter_turbopilot.engine.load_shedding import Level

if TYPE_CHECKING:
    from jupyter_turbopilot.index.reader import NotebookIndex


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What a request may use. It is decided once, when the request arrives."""

    caller: str = ""  # for fair scheduling: a request never ends a request of another caller
    tenant: str = ""  # whose caches may serve the request; empty on a single-user server
    level: Level = Level.NONE  # of load shedding
    notebook_index: NotebookIndex | None = None  # None if the caller may not read it
    kernel_context: KernelContext = NONE


LOCAL = Admission()  # of the user's own process
