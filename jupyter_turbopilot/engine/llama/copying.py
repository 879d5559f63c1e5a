"""Makes the copy of a model with merged adapters in a child process of the lowest priority."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from filelock import FileLock

from jupyter_turbopilot.engine.llama.bindings import quantise
from jupyter_turbopilot.engine.llama.load_test import run_in_child, run_task
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec  # noqa: TC001 - needed by msgspec
from jupyter_turbopilot.models.tuning.merge import merged_copy
from jupyter_turbopilot.protocol.errors import ModelRefusedError
from jupyter_turbopilot.util.files import partial_path

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.cancel import Cancel


class Copying(msgspec.Struct, frozen=True):
    """A copy to make."""

    folder: str  # the models folder
    model: str
    adapters: tuple[AdapterSpec, ...]
    threads: int


def make_copy(task: Copying, target: Path, cancel: Cancel) -> None:
    """Make a copy; wait if another process makes the same one. Raise an error if that fails."""
    try:
        reason = run_in_child(__name__, task, cancel, lowest_priority=True)
    finally:
        # A killed process leaves its partial file. The lock of another process that writes it is held.
        with suppress(OSError), FileLock(target.with_suffix(".lock"), timeout=0):
            partial_path(target).unlink(missing_ok=True)
    if reason:
        name = Path(task.model).name
        raise ModelRefusedError(f"The copy of {name} could not be made: {reason.reason}.", code=reason.code)


def _work(task: Copying) -> None:
    merged_copy(Path(task.folder), Path(task.model), task.adapters, quantise, task.threads)


if __name__ == "__main__":
    run_task(lambda task: _work(msgspec.json.decode(task, type=Copying)))
