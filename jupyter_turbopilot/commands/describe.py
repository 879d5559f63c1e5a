"""What a GGUF file holds, what it takes to run it, and how fast it would be here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.load.plan import compute_bytes
from jupyter_turbopilot.models.ggml import FILE_TYPES, tensor_type
from jupyter_turbopilot.models.gguf import holds, read_header
from jupyter_turbopilot.models.speed import rate
from jupyter_turbopilot.prompt.formats import FORMATS

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_turbopilot.models.gguf import Header


def describe(path: Path, context: int, store: Path) -> dict[str, Any]:
    """Read it off the header."""
    header = read_header(path)
    kinds: dict[str, int] = {}
    for part in header.parts:
        name = tensor_type(part.kind).name
        kinds[name] = kinds.get(name, 0) + part.size
    number = header.metadata.get("general.file_type")
    trained = header.number("context_length")
    context = min(context, trained) if trained else context
    cache = header.kv_bytes(context)
    measured = rate(store)
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
        "fim": fim_of(path, header),
        "memory": {
            "context": context,
            "weights": header.file_size,
            "cache": cache,
            "compute": compute_bytes(header),
        },
        "tokens_a_second": round(measured / header.file_size, 1) if measured else None,
    }


def fim_of(path: Path, header: Header) -> str:
    """Name the way a model fills in the middle, by the tokens that say so."""
    return next((known.name for known in FORMATS if holds(path, header, known.prefix)), "none")


def words(found: dict[str, Any]) -> str:
    """Word it for a person."""
    memory = found["memory"]
    total = memory["weights"] + memory["cache"] + memory["compute"]
    kinds = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in sorted(found["kinds"].items()))
    speed = found["tokens_a_second"]
    lines = {
        "file": found["file"],
        "name": found["name"],
        "architecture": f"{found['architecture']}, {found['layers']} layers",
        "parameters": f"{found['parameters'] / 1e6:.1f} million",
        "type": f"{found['type']} ({kinds})",
        "size": f"{found['size'] / 1e6:.2f} MB",
        "context": f"{found['context']} tokens",
        "tokenizer": f"{found['tokenizer']}, {found['vocabulary']} tokens",
        "fills in": {"none": "no: it only goes on"}.get(found["fim"], f"yes, as {found['fim']}"),
        "memory": f"{total / 1e6:.0f} MB at {memory['context']} tokens: "
        f"weights {memory['weights'] / 1e6:.0f}, "
        f"cache {memory['cache'] / 1e6:.0f}, computing {memory['compute'] / 1e6:.0f}",
        "speed here": f"about {speed} tokens a second (from what `bench` measured)"
        if speed
        else "not measured: run `jupyter turbopilot bench` on any model once",
    }
    return "\n".join(f"{name:<14}{text}" for name, text in lines.items())
