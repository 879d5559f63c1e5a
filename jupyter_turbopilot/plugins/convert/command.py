"""`jupyter turbopilot models convert` and `quantize`: write GGUF files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.ggml import OUTTYPES, tensor_type
from jupyter_turbopilot.protocol.errors import ConversionError
from jupyter_turbopilot.terminal.numeric_options import add_number, whole

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.models.gguf import Header
    from jupyter_turbopilot.settings.config import Turbopilot


def declare_convert(parser: argparse.ArgumentParser) -> None:
    """Convert a Hugging Face checkpoint to a GGUF file."""
    parser.add_argument("source", metavar="SOURCE", help="a folder, or owner/repository")
    parser.add_argument(
        "--outtype", choices=OUTTYPES, default="f16", help="type of the weights (%(default)s)"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="the file to write; default: named after the source"
    )
    parser.add_argument(
        "--tokenizer",
        metavar="SOURCE",
        help="the tokenizer, if it is not in the folder of the weights: a folder, or owner/repository",
    )
    parser.add_argument(
        "--shards",
        type=whole(0, 64),
        default=0,
        help="number of attention shards of a CodeGen2 model: 8 for 1B and 3.7B",
    )
    parser.set_defaults(execute=run_convert)


def run_convert(options: argparse.Namespace, settings: Turbopilot) -> int:
    """Convert a checkpoint, with a progress bar."""
    from jupyter_turbopilot.jupyter.pilot.library import store_of
    from jupyter_turbopilot.models.repositories import Repositories
    from jupyter_turbopilot.plugins.convert.conversion import convert
    from jupyter_turbopilot.terminal.commands.progress import Bar
    from jupyter_turbopilot.util.files import describe_size

    store = store_of(settings)
    with Bar(options.source) as bar:
        repositories = Repositories(store.folder, bar.show_download)
        folder = repositories.checkpoint(options.source)
        target = options.output or Path(f"{folder.resolve().name}-{options.outtype}.gguf")
        if target.is_dir():
            raise ConversionError(f"{target} is a folder. Pass a file with -o.")
        convert(
            folder,
            target,
            outtype=options.outtype,
            find_tokenizer=lambda family, rows: (
                repositories.tokenizer(options.tokenizer)
                if options.tokenizer
                else repositories.tokenizer_for(folder, family, rows)
            ),
            shards=options.shards,
            progress=lambda name, done, total: bar.show(done, total, f"of {describe_size(total)}  {name}"),
        )
    print(target)
    return 0


def declare_quantize(parser: argparse.ArgumentParser) -> None:
    """Quantise a GGUF file."""
    parser.add_argument("source", metavar="IN", type=Path, help="a GGUF file, of F16 or better")
    parser.add_argument("target", metavar="OUT", type=Path, help="the GGUF file to write")
    parser.add_argument(
        "type", metavar="TYPE", help="Q4_K_M, Q8_0, …; without it, all types are listed", nargs="?"
    )
    parser.add_argument("--force", action="store_true", help="quantise a file that is already quantised")
    add_number(parser, "-t --threads", whole(0, 1024), 0, "number of threads; 0: all available cores")
    parser.set_defaults(execute=run_quantize)


def run_quantize(options: argparse.Namespace, _: Turbopilot) -> int:
    """Quantise a file with a progress bar; print the changes of its tensors."""
    from jupyter_turbopilot.engine.load import machine
    from jupyter_turbopilot.models.gguf import read_header
    from jupyter_turbopilot.plugins.convert.quantize import kinds, order, quantize
    from jupyter_turbopilot.terminal.commands.progress import Bar

    known = kinds()
    if not options.type:
        raise ConversionError(f"Choose a type: {', '.join(sorted(known))}.")
    ordered = order(options.source, options.target, options.type, known, force=options.force)
    with Bar(ordered.kind) as bar:
        threads = options.threads or machine.threads()
        quantize(ordered, threads, lambda name, done, total: bar.show(done, total, f"{done}/{total} {name}"))
    print(_table(read_header(ordered.source), read_header(ordered.target)))
    return 0


def _table(before: Header, after: Header) -> str:
    """Format the change of each tensor and of the whole file."""
    new = {part.name: part for part in after.parts}
    lines = []
    for old in before.parts:
        part = new.get(old.name)
        if part is None:
            continue
        shape = " x ".join(map(str, old.shape))
        change = f"{tensor_type(old.kind).name} → {tensor_type(part.kind).name}"
        lines.append(
            f"{old.name:<34} {shape:>16}  {change:<14} {old.size / 1e6:9.2f} → {part.size / 1e6:8.2f} MB"
        )
    ratio = after.file_size / before.file_size
    bits = 8 * sum(part.size for part in after.parts) / after.parameters
    lines.append(
        f"{before.file_size / 1e6:.2f} MB → {after.file_size / 1e6:.2f} MB ({ratio:.0%}), "
        f"{bits:.2f} bits per weight"
    )
    return "\n".join(lines)
