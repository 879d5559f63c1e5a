"""`jupyter turbopilot models convert`: turn a Hugging Face checkpoint into a GGUF file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.commands.command import Command
from jupyter_turbopilot.commands.progress import Bar
from jupyter_turbopilot.errors import ConversionError
from jupyter_turbopilot.files import describe_size
from jupyter_turbopilot.models.ggml import OUTTYPES
from jupyter_turbopilot.shell.numbers import whole

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.config import Turbopilot


@dataclass(frozen=True)
class Options:
    """What to convert, and into what."""

    source: str
    outtype: str
    output: Path | None
    tokenizer: str | None
    shards: int


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("source", metavar="SOURCE", help="a folder, or owner/repository")
    parser.add_argument(
        "--outtype", choices=OUTTYPES, default="f16", help="type of the weights (%(default)s)"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="the file to write; default: by the source's name"
    )
    parser.add_argument(
        "--tokenizer", metavar="SOURCE", help="where the tokenizer is, if not beside the weights"
    )
    parser.add_argument(
        "--shards",
        type=whole(0, 64),
        default=0,
        help="parts that a CodeGen2 model's attention was cut into: 8 for 1B and 3.7B",
    )


def run(options: Options, settings: Turbopilot) -> int:
    """Convert a checkpoint, with a progress bar."""
    from jupyter_turbopilot.models.convert import convert
    from jupyter_turbopilot.models.repository import Repositories
    from jupyter_turbopilot.pilot.library import store_of

    store = store_of(settings)
    with Bar(options.source) as bar:
        repositories = Repositories(store.folder, bar.fetching, hosts=store.hosts)
        folder = repositories.checkpoint(options.source)
        target = options.output or Path(f"{folder.resolve().name}-{options.outtype}.gguf")
        if target.is_dir():
            raise ConversionError(f"{target} is a folder: name a file with -o.")
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


COMMAND = Command("convert", "turn a Hugging Face checkpoint into a GGUF file", Options, declare, run)
