"""`jupyter turbopilot`: complete, serve, models, doctor, purge, forget."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path

from traitlets.config import Config

from jupyter_turbopilot.commands import bench, generate, purge, train
from jupyter_turbopilot.commands import models as models_command
from jupyter_turbopilot.commands.loading import pilot_of
from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.suggestion.coefficients import THRESHOLDS

API_KEY = "TURBOPILOT_API_KEY"
LATE = " within c.Turbopilot.deadline"


def main(arguments: list[str] | None = None) -> None:
    """Run a command; our own errors are one line and exit status 1, or 2 for what was asked."""
    options = parser().parse_args(arguments)
    options.settings = settings_from
    try:
        status = options.run(options)
    except TurbopilotError as error:
        print(f"turbopilot: {error.message} {error.hint}".strip(), file=sys.stderr)
        status = error.exit_status
    except KeyboardInterrupt:
        print("turbopilot: stopped", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        status = 0
    raise SystemExit(status)


def settings_from(options: argparse.Namespace) -> Turbopilot:
    """Read Jupyter's configuration files, the command line above them."""
    from jupyter_core.paths import jupyter_config_path
    from traitlets.config.loader import JSONFileConfigLoader, PyFileConfigLoader

    config = Config()
    for folder in reversed(jupyter_config_path()):
        for name, loader in (
            ("jupyter_server_config.json", JSONFileConfigLoader),
            ("jupyter_server_config.py", PyFileConfigLoader),
            ("jupyter_turbopilot_config.json", JSONFileConfigLoader),
            ("jupyter_turbopilot_config.py", PyFileConfigLoader),
        ):
            if (Path(folder) / name).is_file():
                found = loader(name, folder).load_config()
                if "Turbopilot" in found:
                    config.merge(Config({"Turbopilot": found.Turbopilot}))
    settings = Turbopilot(config=config)
    if getattr(options, "model", None):
        settings.model = options.model
    if getattr(options, "mirrors", False):
        settings.mirrors = True
    return settings


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    top = argparse.ArgumentParser(
        prog="jupyter turbopilot", description="Code completion from a model on this machine."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    complete = commands.add_parser("complete", help="complete a file at a place and print what comes next")
    complete.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    complete.add_argument("--line", type=int, help="line, from 1; the end of the file if left out")
    complete.add_argument("--col", type=int, help="column, from 1; the end of the line if left out")
    complete.add_argument("--language", help="the file's language; left out, its name says which")
    complete.add_argument("--length", type=int, help="longest answer in tokens")
    complete.add_argument(
        "--lines",
        choices=["auto", "single", "multi"],
        default="auto",
        help="one line at most, several, or several where the place asks for it (%(default)s)",
    )
    complete.add_argument(
        "--temperature", type=float, default=0.0, help="0 is the likeliest text; up to 2 (%(default)s)"
    )
    complete.add_argument("-m", "--model", help="the model to use")
    complete.add_argument("--json", action="store_true", help="print confidence and timings too")
    complete.set_defaults(run=run_complete)

    models = commands.add_parser("models", help="list, fetch, remove, check, convert and quantise models")
    models_command.add(models.add_subparsers(required=True, metavar="ACTION"))
    generate.add(commands)
    bench.add(commands)
    train.add(commands)

    serve = commands.add_parser("serve", help="serve editors without a Jupyter server")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serve.add_argument("--port", type=port, default=18080, help="port to listen on (%(default)s)")
    keys = serve.add_mutually_exclusive_group()
    keys.add_argument(
        "--api-key",
        help="the key callers send, visible in the list of processes; one is made and printed if left out",
    )
    keys.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help=f"a file that holds the key; the environment variable {API_KEY} does as well",
    )
    keys.add_argument("--no-api-key", action="store_true", help="no key; on this machine's own address only")
    serve.add_argument("-m", "--model", help="the model to use")
    serve.set_defaults(run=run_serve)

    evaluation = commands.add_parser("eval", help="type real notebooks and count what was worth its key")
    evaluation.add_argument(
        "source",
        metavar="SOURCE",
        type=Path,
        help="a folder of notebooks, a prepared set, or HumanEval's wheel",
    )
    evaluation.add_argument(
        "--humaneval", action="store_true", help="fill in lines of HumanEval; what the model writes is run"
    )
    evaluation.add_argument(
        "--half",
        choices=["all", "fitted", "held-out"],
        default="all",
        help="every second notebook; the gate was fitted to one half",
    )
    evaluation.add_argument("--trace", choices=["append", "edit", "hop"], nargs="+", default=["append"])
    evaluation.add_argument("--requests", type=int, default=0, help="about how many; 0: every place")
    evaluation.add_argument("--eagerness", choices=list(THRESHOLDS), nargs="+", default=["balanced"])
    evaluation.add_argument(
        "--clock",
        action="store_true",
        help="at a person's pace: only what is shown before the next key counts",
    )
    evaluation.add_argument(
        "--key", type=milliseconds, default=200, metavar="MS", help="how long a key takes on the clock"
    )
    evaluation.add_argument(
        "--busy",
        type=count,
        default=0,
        metavar="N",
        help="other processes that keep a core busy meanwhile",
    )
    evaluation.add_argument(
        "--kernel",
        nargs="?",
        const="python3",
        metavar="NAME",
        help="run the cells above in a kernel, and type with its facts and without; this runs the notebooks",
    )
    evaluation.add_argument("--report", type=Path, metavar="FILE", help="write a Markdown file and plots")
    evaluation.add_argument("-m", "--model", help="the model to use")
    evaluation.set_defaults(run=run_eval)

    purge.add(commands)
    doctor = commands.add_parser(
        "doctor", help="what is installed, how fast it is, what to do about problems"
    )
    doctor.add_argument("-m", "--model")
    doctor.set_defaults(run=run_doctor)
    return top


def count(text: str) -> int:
    """Read how many of something."""
    return _whole(text, 0, 64)


def milliseconds(text: str) -> int:
    """Read how long something takes."""
    return _whole(text, 20, 60_000)


def _whole(text: str, least: int, most: int) -> int:
    if (number := _within(text, least, most)) is None:
        raise argparse.ArgumentTypeError(f"it is a whole number from {least} to {most}")
    return number


def port(text: str) -> int:
    """Read a port's number."""
    if (number := _within(text, 1, 65535)) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: choose one from 1 to 65535")
    return number


def _within(text: str, least: int, most: int) -> int | None:
    """Return the number that a text spells in no more digits than the largest has; None outside of these."""
    number = int(text) if re.fullmatch(f"[0-9]{{1,{len(str(most))}}}", text) else -1
    return number if least <= number <= most else None


def run_complete(options: argparse.Namespace) -> int:
    """Complete a file at a place."""
    from jupyter_turbopilot.request import Cell, Completion
    from jupyter_turbopilot.shell.in_process import InProcess
    from jupyter_turbopilot.training.corpus import LANGUAGES

    try:
        source = sys.stdin.read() if options.file == "-" else Path(options.file).read_text("utf-8")
    except OSError as error:
        raise BadRequestError(f"{options.file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadRequestError(f"{options.file} is not UTF-8 text.") from None
    request = Completion(
        path="" if options.file == "-" else Path(options.file).name,
        language=options.language or LANGUAGES.get(Path(options.file).suffix.lower(), "python"),
        cells=[Cell(source=source)],
        offset=offset_of(source, options.line, options.col),
        lines=options.lines,
        max_tokens=options.length,
        temperature=options.temperature,
    )
    local = InProcess(settings_from(options))
    try:
        if options.json:
            print(json.dumps(local.last(request).body(), indent=1))
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
        print(f"turbopilot: There is no suggestion for this place{LATE * late}.", file=sys.stderr)
        return 1
    print()
    return 0


def run_serve(options: argparse.Namespace) -> int:
    """Serve editors until told to stop."""
    import asyncio

    from jupyter_turbopilot.server.standalone import checked, key_from, serve

    key: str | None = None
    if options.no_api_key:
        key = ""
    elif options.api_key_file:
        key = key_from(options.api_key_file)
    elif options.api_key is not None or os.environ.get(API_KEY):
        key = checked(options.api_key if options.api_key is not None else os.environ[API_KEY])
    asyncio.run(serve(pilot_of(options), options.host, options.port, key))
    return 0


def offset_of(source: str, line: int | None, column: int | None) -> int:
    """Turn a line and a column, both from 1, into an offset."""
    if line is None and column is None:
        return len(source)
    lines = source.removesuffix("\n").split("\n")
    line = len(lines) if line is None else line
    if not 1 <= line <= len(lines):
        raise BadRequestError(f"--line {line}: there are lines 1 to {len(lines)}.", field="line")
    text = lines[line - 1]
    if column is None:
        column = len(text) + 1
    if not 1 <= column <= len(text) + 1:
        raise BadRequestError(f"--col {column}: line {line} has columns 1 to {len(text) + 1}.", field="col")
    return sum(len(earlier) + 1 for earlier in lines[: line - 1]) + column - 1


def run_eval(options: argparse.Namespace) -> int:
    """Type notebooks through the whole product, or fill in HumanEval."""
    from jupyter_turbopilot.commands import evaluate as command

    return command.run(options, settings_from(options))


def run_doctor(options: argparse.Namespace) -> int:
    """Say what is there, how fast it is, and what to do about each problem."""
    from jupyter_turbopilot.commands.doctor import examine

    problems = 0
    for line in examine(settings_from(options)):
        print(f"{'✗' if line.problem else '✓'} {line.name:<12} {line.text}")
        problems += line.problem
    print("All is well." if not problems else f"{problems} to mend.")
    return 1 if problems else 0


if __name__ == "__main__":
    main()
