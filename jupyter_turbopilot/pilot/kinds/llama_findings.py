"""What `doctor` says of what llama.cpp loads: graphics card, adapters, the model's file and its copy."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.files import describe_size, is_readable, is_writable
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.tuning import adapters
from jupyter_turbopilot.models.tuning.fold import kept_by, place_of
from jupyter_turbopilot.pilot.kinds.base import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.models.store import Stored
    from jupyter_turbopilot.models.tuning.adapters import AdapterSpec


def model_file(model: Model, stored: Stored) -> Finding:
    """Say whether a model's file can be read, and whether its digest was checked."""
    if not is_readable(stored.path):
        return Finding("model", f"you may not read {stored.path}: ask whoever keeps it", problem=True)
    checked = (
        "checked by digest"
        if stored.verified
        else f"unverified: run `jupyter turbopilot models verify {model.spec}`"
        if model.sha256
        else "unverified: its publisher gives no digest"
    )
    return Finding("model", f"{model.name}, {describe_size(stored.size)}, {checked}, {stored.path}")


def copy_with_adapters(folder: Path, path: Path, added: Sequence[AdapterSpec]) -> Iterator[Finding]:
    """Say where the copy of a model with its adapters is, or who has to make it; else the next load does."""
    if not added:
        return
    with suppress(TurbopilotError, OSError):  # of the adapter or the file, which the other lines are about
        copy = place_of(folder, path, added)
        if copy.is_file():
            closed = "" if is_readable(copy) else ". You may not read it: ask whoever keeps it"
            yield Finding("copy", f"has the adapters in it, {copy}{closed}", problem=bool(closed))
        elif not is_writable(copy.parent):
            slower = "The adapters are used beside the model, which is slower."
            yield Finding("copy", f"there is none. {slower} {kept_by(folder)}", problem=True)


def adapter_files(settings: Turbopilot) -> Iterator[Finding]:
    """Say of each adapter whether it is one, and for what."""
    try:
        specs = adapters.adapters_of(settings, find(settings.model))
    except TurbopilotError as error:
        yield Finding("adapter", error.message, problem=True)
        return
    for name, scale, language in specs:
        try:
            path = Path(name)
            header = adapters.check(path)
            size = describe_size(header.file_size)
            where = f" in {language} alone" if language else ""
            counts = f"for a {header.architecture}, counts {scale:g}{where}"
            yield Finding("adapter", f"{path.name}, {size}, {counts}")
        except TurbopilotError as error:
            yield Finding("adapter", error.message, problem=True)


def graphics(settings: Turbopilot, *, able: bool) -> Finding:
    """Say whether layers can be computed by a graphics card, and whether they are to be."""
    layers = settings.gpu_layers
    if layers and not able:
        return Finding(
            "graphics",
            "gpu_layers is set, but this engine was built without GPU support. Build it for the GPU "
            "(docs/models.md), or set c.Turbopilot.gpu_layers = 0.",
            problem=True,
        )
    if layers:
        count = "all" if layers < 0 else layers
        return Finding("graphics", f"{count} layers on card {settings.main_gpu}")
    return Finding("graphics", "none used" + (": c.Turbopilot.gpu_layers = -1 would" if able else ""))
