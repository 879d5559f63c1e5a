"""Convert checkpoints in Hugging Face's layout to GGUF files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.plugins.convert import gpt, llama, tokenizer, writer
from jupyter_turbopilot.plugins.convert.checkpoint import Checkpoint
from jupyter_turbopilot.protocol.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
