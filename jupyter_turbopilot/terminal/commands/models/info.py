"""`jupyter turbopilot models info` and `recommend`: describe models, and recommend some for this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.llama.kind import LlamaKind
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.engine.load.plan import sizes_of
from jupyter_turbopilot.jupyter.pilot.library import store_of
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.ggml import FILE_TYPES, tensor_type
from jupyter_turbopilot.models.gguf import holds, read_header
from jupyter_turbopilot.models.recommend import speed_of
from jupyter_turbopilot.models.store import unavailable
from jupyter_turbopilot.models.user_cache import measured_rate, personal_dir
from jupyter_turbopilot.prompt.formats import FORMATS
from jupyter_turbopilot.terminal.commands.command import add_json
from jupyter_turbopilot.terminal.numeric_options import add_number, whole
from jupyter_turbopilot.util.files import describe_size

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from jupyter_turbopilot.models.recommend import Advice
    from jupyter_turbopilot.settings.config import Turbopilot


def declare_info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="FILE", help="a GGUF file, or a model's name")
    add_number(parser, "--context", whole(1, 10_000_000), 4096, "context size for the memory estimate")
    add_json(parser, "the description")
    parser.set_defaults(execute=run_info)


def run_info(options: argparse.Namespace, settings: Turbopilot) -> int:
    kind, model = LlamaKind(settings, store_of(settings)), find(options.model)
    if not kind.store.has(model) and not model.path:
        raise unavailable(model, kind.store.stored(model), settings.engine)
    description = describe(kind.served(model), options.context, personal_dir())
    description["gpu_offer"] = kind.gpu_offer(model)
    print(json.dumps(description, indent=1) if options.json else summary(description))
    return 0


def describe(path: Path, context: int, personal: Path) -> dict[str, Any]:
    """Return the description of a file from its header, and its estimated speed on this machine."""
    header = read_header(path)
    kinds: dict[str, int] = {}
    for part in header.parts:
        name = tensor_type(part.kind).name
        kinds[name] = kinds.get(name, 0) + part.size
    number = header.metadata.get("general.file_type")
    trained = header.number("context_length")
    context = min(context, trained) if trained else context
    sizes = sizes_of(header)
    measured = measured_rate(personal)
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
        "tokens_per_second": round(speed_of(header.file_size, measured), 1) if measured else None,
    }


def summary(description: dict[str, Any]) -> str:
    memory = description["memory"]
    total = memory["weights"] + memory["cache"] + memory["compute"]
    kinds = ", ".join(f"{name} {describe_size(size)}" for name, size in sorted(description["kinds"].items()))
    speed = description["tokens_per_second"]
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
        "speed here": f"about {speed} tokens/s (estimated from the last `bench`)"
        if speed
        else "unknown. Run `jupyter turbopilot bench` with any model once.",
    }
    if offer := description["gpu_offer"]:
        lines["graphics"] = offer
    return "\n".join(f"{name:<20}{text}" for name, text in lines.items())


def declare_recommend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="also list models that are too large or slow")
    parser.add_argument("--json", action="store_true", help="print the models as JSON, with memory in bytes")
    parser.set_defaults(execute=run_recommend)


def run_recommend(options: argparse.Namespace, settings: Turbopilot) -> int:
    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot

    library, memory, cores = Pilot(settings).library, machine.free_memory(), machine.cores()
    measured = measured_rate(personal_dir())
    advice = sorted(
        library.advice().values(), key=lambda one: (one.verdict != "recommended", -one.model.parameters)
    )
    if not options.all:
        advice = [one for one in advice if one.verdict in {"recommended", "runs"}]
    if options.json:
        models = [_described(one) for one in advice]
        found = {"free_memory": memory, "cores": cores, "measured": measured > 0, "models": models}
        print(json.dumps(found, indent=1))
        return 0
    speed_known = (
        f"{measured / 1e9:.1f} GB of weights read per second (measured)."
        if measured
        else "speed estimated; run `jupyter turbopilot doctor` or `bench` to measure it."
    )
    print(f"{memory / 1e9:.1f} GB of memory free, {cores} cores, {speed_known}")
    for one in advice:
        print(
            f"{one.verdict:<12} {one.model.name:<22} {one.memory / 1e9:5.1f} GB  "
            f"about {one.tokens_per_second:5.1f} tokens/s  {one.model.licence:<12}  {one.model.use}"
        )
    return 0


def _described(advice: Advice) -> dict[str, Any]:
    model = advice.model
    return {
        "name": model.name,
        "verdict": advice.verdict,
        "memory": advice.memory,
        "tokens_per_second": round(advice.tokens_per_second, 1),
        "licence": model.licence,
        "use": model.use,
    }
