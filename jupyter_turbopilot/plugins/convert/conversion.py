"""Convert checkpoints in Hugging Face's layout to GGUF files."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.checkpoint import Checkpoint
from jupyter_turbopilot.models.download import DownloadProgress, move_damaged_aside
from jupyter_turbopilot.models.folder import checkpoint_path, is_complete, write_note
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.models.repositories import Repositories
from jupyter_turbopilot.plugins.convert import gpt, llama, tokenizer, writer
from jupyter_turbopilot.protocol.errors import CancelledError, ConversionError, TurbopilotError
from jupyter_turbopilot.util.files import sha256_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.models.store import Store
    from jupyter_turbopilot.plugins.convert.recipe import Recipe

FAMILIES: dict[str, Callable[[Checkpoint], Recipe]] = {
    "codegen": gpt.gptj,
    "gpt2": gpt.gpt2,
    "gpt_bigcode": gpt.bigcode,
    "gpt_neox": llama.neox,
    "gptj": gpt.gptj,
    "llama": llama.llama,
    "mistral": llama.llama,
    "phi": llama.phi,
    "qwen2": llama.qwen2,
    "starcoder2": llama.starcoder2,
}


def fetch(
    store: Store, model: Model, progress: Callable[[DownloadProgress], None], cancel: threading.Event
) -> Path:
    """Download a checkpoint and convert it to the model's file."""
    repositories = Repositories(store.folder, progress, cancel)

    def step(name: str, done: int, total: int) -> None:
        if cancel.is_set():
            raise CancelledError("The conversion was cancelled. The downloaded checkpoint is kept.")
        progress(DownloadProgress("downloading", done, total, f"converting {name}"))

    kept = is_complete(checkpoint_path(store.folder, model.checkpoint))  # keep it for the engine that runs it
    folder = repositories.fetch(model.checkpoint, keep=False)
    move_damaged_aside(store.path(model))
    path = convert(
        folder,
        store.path(model),
        outtype=model.kind.lower(),
        find_tokenizer=lambda family, rows: repositories.tokenizer_for(folder, family, rows),
        shards=model.shards,
        progress=step,
    )
    write_note(
        path,
        f"converted from Hugging Face, {model.checkpoint}",
        address=model.checkpoint,
        sha256=sha256_of(path),
        size=path.stat().st_size,
    )
    if not kept:
        with suppress(TurbopilotError):
            repositories.remove(model.checkpoint)  # it is several times as large as the converted file
    return path


def convert(
    folder: Path,
    target: Path,
    *,
    outtype: str = "f16",
    find_tokenizer: Callable[[str, int], Path] | None = None,
    shards: int = 0,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Path:
    """Convert the checkpoint in `folder` to the file `target`; refuse unsupported ones."""
    checkpoint = Checkpoint(folder)
    recipe = recipe_for(checkpoint, shards)
    if unknown := checkpoint.unused_tensors(recipe.ignored):
        raise ConversionError(
            f"The model has {len(unknown)} tensors that a {checkpoint.config.family} model does not have, "
            f"such as {unknown[0]}: this is not supported."
        )
    where = find_tokenizer(checkpoint.config.family, recipe.rows) if find_tokenizer else folder
    vocabulary = tokenizer.read(where, recipe.rows)
    written = writer.write(recipe, vocabulary, target, outtype, folder.name, progress)
    read_header(written)
    return written


def recipe_for(checkpoint: Checkpoint, shards: int = 0) -> Recipe:
    """Return the recipe of a checkpoint's family."""
    family = checkpoint.config.family
    if family not in FAMILIES:
        covered = ", ".join(FAMILIES)
        raise ConversionError(f"The architecture {family[:60]!r} is not supported. Supported: {covered}.")
    if shards and family != "codegen":
        raise ConversionError("--shards applies to CodeGen models only. Leave it out.")
    return gpt.gptj(checkpoint, shards) if shards else FAMILIES[family](checkpoint)
