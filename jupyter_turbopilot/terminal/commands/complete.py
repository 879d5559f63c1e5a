"""`jupyter turbopilot complete`: print a completion for a position in a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.languages import LANGUAGES
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.terminal.commands.command import add_json, add_model_and_engine
from jupyter_turbopilot.terminal.numeric_options import real, whole
from jupyter_turbopilot.util.bounds import MOST_TEMPERATURE, MOST_TOKENS

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.settings.config import Turbopilot

LATE = " within c.Turbopilot.deadline"


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    parser.add_argument("--line", type=int, help="line, from 1; default: the end of the file")
    parser.add_argument("--col", type=int, help="column, from 1; default: the end of the line")
    parser.add_argument("--language", help="the file's language; default: by the file's suffix")
    parser.add_argument(
        "--length",
        type=whole(1, MOST_TOKENS),
        help=f"maximum length in tokens, up to {MOST_TOKENS}; default: as configured",
    )
    parser.add_argument(
        "--lines",
        choices=["auto", "single", "multi"],
        default="auto",
        help="one line, several lines, or automatic (%(default)s)",
    )
    parser.add_argument(
        "--temperature",
        type=real(0.0, MOST_TEMPERATURE),
        default=0.0,
        help=f"0: the most likely text; up to {MOST_TEMPERATURE:g} (%(default)s)",
    )
    add_model_and_engine(parser)
    add_json(parser, "the confidence and timings")
    parser.set_defaults(execute=run)


def run(options: argparse.Namespace, settings: Turbopilot) -> int:
    import msgspec

    from jupyter_turbopilot.protocol.contract import Answer
    from jupyter_turbopilot.terminal.in_process import InProcess

    request = request_of(options)
    local = InProcess(settings, file=None if options.file == "-" else Path(options.file))
    try:
        if options.json:
            print(json.dumps(msgspec.to_builtins(Answer.of(local.last(request))), indent=1))
            return 0
        shown = ""
        for reply in local.replies(request):
            text = reply.items[0].text if reply.items else shown
            sys.stdout.write(text[len(shown) :])
            sys.stdout.flush()
            shown = text
    finally:
        local.close()
    if not shown:
        late = reply.finish_reason == "deadline"
        print(f"turbopilot: There is no suggestion for this position{LATE * late}.", file=sys.stderr)
        return 1
    print()
    return 0


def request_of(options: argparse.Namespace) -> Completion:
    file = Path(options.file)
    try:
        source = sys.stdin.read() if options.file == "-" else file.read_text("utf-8")
    except OSError as error:
        raise BadRequestError(f"{options.file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadRequestError(f"{options.file} is not UTF-8 text.") from None
    return Completion(
        path="" if options.file == "-" else file.name,
        language=language_of(options.language, file),
        cells=[Cell(source=source)],
        offset=offset_of(source, options.line, options.col),
        lines=options.lines,
        max_tokens=options.length,
        temperature=options.temperature,
    )


def language_of(name: str | None, file: Path) -> str:
    """Return the given language, or that of the file's suffix."""
    if name is None:
        return LANGUAGES.get(file.suffix.lower(), "python")
    known = sorted({*LANGUAGES.values()})
    if name.lower() not in known:
        raise BadRequestError(
            f"Unknown --language {name}. Choose one of {', '.join(known)}.", field="language"
        )
    return name.lower()


def offset_of(source: str, line: int | None, column: int | None) -> int:
    """Convert a 1-based line and column to an offset."""
    if line is None and column is None:
        return len(source)
    lines = source.removesuffix("\n").split("\n")
    line = len(lines) if line is None else line
    if not 1 <= line <= len(lines):
        raise BadRequestError(f"--line must be from 1 to {len(lines)}, not {line}.", field="line")
    text = lines[line - 1]
    if column is None:
        column = len(text) + 1
    if not 1 <= column <= len(text) + 1:
        raise BadRequestError(
            f"--col must be from 1 to {len(text) + 1} in line {line}, not {column}.", field="col"
        )
    return sum(len(earlier) + 1 for earlier in lines[: line - 1]) + column - 1
