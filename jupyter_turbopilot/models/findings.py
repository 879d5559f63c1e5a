"""What `doctor` reports about the files of models and adapters."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.store import unavailable
from jupyter_turbopilot.models.tuning.adapters import adapters_of, check
from jupyter_turbopilot.models.tuning.merge import path_of, read_only_advice
from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.util.files import describe_size, is_readable, is_writable, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.models.store import Stored
    from jupyter_turbopilot.models.tuning.adapters import AdapterSpec
    from jupyter_turbopilot.settings.config import Turbopilot


@dataclass(frozen=True)
class Finding:
    """One line of a diagnosis."""

    name: str
    text: str
    problem: bool = False


def missing(model: Model, stored: Stored | None = None) -> Iterator[Finding]:
    """Report that a model has to be downloaded, or downloaded again, and whether there is room for it."""
    if model.path:
        yield Finding("model", f"This engine cannot run {model.path}.", problem=True)
        return
    yield Finding("model", unavailable(model, stored).message, problem=True)
    free = shutil.disk_usage(os.path.expanduser("~")).free  # noqa: PTH111 - before the folder exists
    scarce = bool(model.size and free < model.size)
    yield Finding("disk", f"{free / 1e9:.1f} GB free", problem=scarce)


def model_file(model: Model, stored: Stored) -> Finding:
    """Report whether a model's file can be read, and whether its digest was checked."""
    if not is_readable(stored.path):
        return Finding("model", f"you may not read {stored.path}. Ask its owner for access", problem=True)
    checked = (
        "checked by digest"
        if stored.verified
        else f"unverified: run `jupyter turbopilot models verify {model.spec}`"
        if model.sha256
        else "unverified: its publisher provides no digest"
    )
    return Finding("model", f"{model.name}, {describe_size(stored.size)}, {checked}, {stored.path}")


def copy_with_adapters(folder: Path, path: Path, added: Sequence[AdapterSpec]) -> Iterator[Finding]:
    """Report the merged copy of a model and its adapters, or that this user cannot create it."""
    if not added:
        return
    with suppress(TurbopilotError, OSError):  # errors of the adapter or the file are reported by other lines
        copy = path_of(folder, path, added)
        if copy.is_file():
            closed = "" if is_readable(copy) else ". You may not read it. Ask its owner for access"
            size = describe_size(size_of(copy))
            yield Finding("copy", f"with merged adapters, {size}, {copy}{closed}", problem=bool(closed))
        elif not is_writable(copy.parent):
            slower = "The adapters are applied at run time, which is slower."
            yield Finding("copy", f"does not exist. {slower} {read_only_advice(folder)}", problem=True)


def adapter_files(settings: Turbopilot) -> Iterator[Finding]:
    """Report whether each adapter is valid, and for which models."""
    try:
        specs = adapters_of(settings, find(settings.model))
    except TurbopilotError as error:
        yield Finding("adapter", error.message, problem=True)
        return
    for name, scale in specs:
        try:
            path = Path(name)
            header = check(path)
            size = describe_size(header.file_size)
            counts = f"for {header.architecture}, strength {scale:g}"
            yield Finding("adapter", f"{path.name}, {size}, {counts}")
        except TurbopilotError as error:
            yield Finding("adapter", error.message, problem=True)
