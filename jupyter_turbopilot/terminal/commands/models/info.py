"""`jupyter turbopilot models info`: describe a GGUF file and its memory use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.llama.kind import LlamaKind
from jupyter_turbopilot.engine.load.plan import sizes_of
from jupyter_turbopilot.jupyter.pilot.library import store_of
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.ggml import FILE_TYPES, tensor_type
from jupyter_turbopilot.models.gguf import holds, read_header
from jupyter_turbopilot.models.store import unavailable
from jupyter_turbopilot.prompt.formats import FORMATS
from jupyter_turbopilot.terminal.commands.command import add_json
from jupyter_turbopilot.terminal.numeric_options import add_number, whole
from jupyter_turbopilot.util.files import describe_size

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from jupyter_turbopilot.settings.config import Turbopilot


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="FILE", help="a GGUF file, or a model's name")
    add_number(parser, "--context", whole(1, 10_000_000), 4096, "context size for the memory estimate")
    add_json(parser, "the description")
    parser.set_defaults(execute=run)


def run(options: argparse.Namespace, settings: Turbopilot) -> int:
    kind, model = LlamaKind(settings, store_of(settings)), find(options.model)
    if not kind.store.has(model) and not model.path:
        raise unavailable(model, kind.store.stored(model), settings.engine)
    description = describe(kind.served(model), options.context)
    description["gpu_offer"] = kind.gpu_offer(model)
    print(json.dumps(description, indent=1) if options.json else summary(description))
    return 0


def describe(path: Path, context: int) -> dict[str, Any]:
    """Return the description of a file from its header."""
    header = read_header(path)
    kinds: dict[str, int] = {}
    for part in header.parts:
        name = tensor_type(part.kind).name
        kinds[name] = kinds.get(name, 0) + part.size
    number = header.metadata.get("general.file_type")
    trained = header.number("context_length")
    context = min(context, trained) if trained else context
    sizes = sizes_of(header)
    return {
        "file": str(path),
        "name": header.metadata.get("general.name", path.stem),
        "architecture": header.architecture,
        "parameters": header.parameters,
        "type": FILE_TYPES.get(number, str(number)) if isinstance(number, int) else "unknown",
        "kinds": kinds,
        "size": header.file_size,
        "context": trained,
        "layers": header.number("block_count"),
        "tokenizer": "/".join(
            str(header.metadata[key])
            for key in ("tokenizer.ggml.model", "tokenizer.ggml.pre")
            if key in header.metadata
        ),
        "vocabulary": header.metadata.get("tokenizer.ggml.tokens", 0),
        "fim": next((known.name for known in FORMATS if holds(path, header, known.prefix)), "none"),
        "memory": {
            "context": context,
            "weights": sizes.weights,
            "cache": int(sizes.token * context),
            "compute": sizes.compute + sizes.scores * context,
        },
    }


def summary(description: dict[str, Any]) -> str:
    memory = description["memory"]
    total = memory["weights"] + memory["cache"] + memory["compute"]
    kinds = ", ".join(f"{name} {describe_size(size)}" for name, size in sorted(description["kinds"].items()))
    lines = {
        "file": description["file"],
        "name": description["name"],
        "architecture": f"{description['architecture']}, {description['layers']} layers",
        "parameters": f"{description['parameters'] / 1e6:.1f} million",
        "type": f"{description['type']} ({kinds})",
        "size": describe_size(description["size"]),
        "context": f"{description['context']} tokens",
        "tokenizer": f"{description['tokenizer']}, {description['vocabulary']} tokens",
        "fill-in-the-middle": {"none": "no"}.get(description["fim"], f"yes ({description['fim']})"),
        "memory": f"{describe_size(total)} at {memory['context']} tokens: "
        f"weights {describe_size(memory['weights'])}, "
        f"cache {describe_size(memory['cache'])}, compute buffers {describe_size(memory['compute'])}",
    }
    if offer := description["gpu_offer"]:
        lines["graphics"] = offer
    return "\n".join(f"{name:<20}{text}" for name, text in lines.items())
