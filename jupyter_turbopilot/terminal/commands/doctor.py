"""`jupyter turbopilot doctor`: check the installation and its speed, and give advice."""

from __future__ import annotations

import json
import os
import platform
import secrets
import sys
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from jupyter_core.paths import jupyter_config_path, jupyter_path
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from jupyter_turbopilot.engine.base import Speed
from jupyter_turbopilot.engine.kind import limits_of
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.index.paths import folder, indexes, size_of_index
from jupyter_turbopilot.jupyter import front_end
from jupyter_turbopilot.models.findings import Finding
from jupyter_turbopilot.models.folder import described, is_unreadable, models_dir
from jupyter_turbopilot.models.recommend import MIN_TOKENS_PER_SECOND
from jupyter_turbopilot.models.user_cache import personal_dir
from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.settings.access import access_of
from jupyter_turbopilot.suggestion.scores import is_fitted_to
from jupyter_turbopilot.terminal.commands.checks import findings_of
from jupyter_turbopilot.terminal.commands.command import add_json, add_model_and_engine
from jupyter_turbopilot.terminal.plugin import terminal_plugins
from jupyter_turbopilot.util import registry
from jupyter_turbopilot.util.files import ROOM_TO_SPARE, count_of, describe_size, free_room, is_writable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.protocol.reply import Timings
    from jupyter_turbopilot.settings.config import Turbopilot
    from jupyter_turbopilot.terminal.in_process import InProcess

SPEED_TOKENS, LEAST_TOKENS = 32, 8  # fewer generated tokens do not measure the speed
_SAMPLE = "def mean(values):\n    return sum(values) / len(values)\n\n\n" * 8
# Each function is completed once. The best rate counts, because other load can only lower it.
_FUNCTIONS = ("median", "variance", "spread")


def declare(parser: argparse.ArgumentParser) -> None:
    add_model_and_engine(parser)
    add_json(parser, "the findings")
    parser.set_defaults(execute=run)


def run(options: argparse.Namespace, settings: Turbopilot) -> int:
    """Print the findings and the number of problems."""
    if options.json:
        findings = [asdict(finding) for finding in examine(settings)]
        print(json.dumps(findings, indent=1))
        return 1 if any(finding["problem"] for finding in findings) else 0
    problems = 0
    for line in examine(settings):
        print(f"{'✗' if line.problem else '✓'} {line.name:<12} {line.text}")
        problems += line.problem
    print(f"{count_of(problems, 'problem') if problems else 'No problems'} found.")
    return 1 if problems else 0


def examine(settings: Turbopilot) -> Iterator[Finding]:
    """Examine the machine, packages, folders, engine, model and extensions, in this order."""
    yield Finding("system", f"{platform.platform()}, Python {platform.python_version()}")
    yield from _packages()
    yield Finding(
        "machine",
        f"{machine.cores()} cores to use, {limits_of(settings).threads} threads, "
        f"{machine.free_memory() / 1e9:.1f} GB of memory free",
    )
    yield from _folders(settings)
    yield _notebook_index(settings)
    yield from findings_of(settings)
    access = access_of(settings, os.environ)
    if access.reason:
        yield Finding("access", access.reason, problem=True)
    else:
        if settings.denied_paths:
            yield Finding("access", f"Turbopilot is switched off in {', '.join(settings.denied_paths)}")
        yield from _engine(settings)
    yield from _extensions()
    yield from _plugins(settings)


def _packages() -> Iterator[Finding]:
    try:
        required = [*map(Requirement, requires("jupyter-turbopilot") or ())]
    except PackageNotFoundError:
        required = []
    supported = {canonicalize_name(one.name): one.specifier for one in reversed(required)}
    for name in ("jupyter-turbopilot", "jupyterlab", "jupyter-server", "ipython"):
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Finding(name, f"missing. Run: python -m pip install {name}", problem=True)
        else:
            wanted = supported.get(canonicalize_name(name), SpecifierSet())
            fits = wanted.contains(found, prereleases=True)
            advice = f' is not supported. Run: python -m pip install "{name}{wanted}"'
            yield Finding(name, found if fits else found + advice, problem=not fits)


def _folders(settings: Turbopilot) -> Iterator[Finding]:
    """Report the models folder and the user's cache folder."""
    models, own = models_dir(settings.models_dir), personal_dir()
    yield Finding("models", f"in {described(models)}", problem=is_unreadable(models))
    if is_writable(own):
        yield Finding("own files", f"in {own}")
    else:
        lost = "evaluated prompts are lost when a server stops, and each load begins with a load test"
        yield Finding(
            "own files",
            f"{own} is not writable: {lost}. Set XDG_CACHE_HOME to a writable folder.",
            problem=True,
        )


def _notebook_index(settings: Turbopilot) -> Finding:
    """Report whether a notebook index is kept, and where."""
    if not settings.notebook_index:
        return Finding("index", "off: c.Turbopilot.notebook_index is False")
    if not is_writable(folder()):
        remedy = "Set XDG_DATA_HOME to a writable folder" if sys.platform == "linux" else "Make it writable"
        text = f"{folder()} is not writable. {remedy}, or set c.Turbopilot.notebook_index = False."
        return Finding("index", text, problem=True)
    if (free := free_room(folder())) < ROOM_TO_SPARE:
        room = f"only {describe_size(free)} of disk space are free in {folder()}"
        needed = f"indexing needs {describe_size(ROOM_TO_SPARE)}"
        return Finding("index", f"{room}, but {needed}.", problem=True)
    found = indexes()
    if not found:
        return Finding("index", f"no notebook index yet in {folder()}")
    size = describe_size(sum(map(size_of_index, found)))
    return Finding("index", f"{count_of(len(found), 'index', 'indexes')} in {folder()}, {size}")


def _engine(settings: Turbopilot) -> Iterator[Finding]:
    """Examine the engine and its model; without problems, also measure their speed."""
    from jupyter_turbopilot.terminal.in_process import InProcess

    settings.cache_file, settings.keep_sequences = "", False  # cached answers would distort the speed
    settings.denied_paths = []  # the measured prompts have no path
    local = InProcess(settings)
    try:
        kind = local.pilot.kind
        if kind.address:
            yield Finding("address", f"code is sent to {kind.address}")
        findings = [*kind.examine()]
        yield from findings
        if not any(finding.problem and finding.name in {"engine", "model"} for finding in findings):
            yield _speed(local)
            is_fitted = is_fitted_to(local.pilot.worker.state.model)
            unfitted = "not fitted to this model; see the Engines page of the documentation"
            yield Finding("gate", "fitted to this model" if is_fitted else unfitted)
            if statistics := local.pilot.statistics:
                week = statistics.week
                counts = f"{week.accepted} of {week.shown} suggestions accepted this week"
                yield Finding("statistics", counts)
    except TurbopilotError as error:
        yield Finding("speed", error.message, problem=True)
    finally:
        local.close()


_FASTER = {
    "llama": "close busy programs, or use a smaller model",
    "transformers": 'try c.Turbopilot.engine = "llama" with a GGUF file, or close busy programs',
    "remote": "check the network, and whether the server is busy",
}


def _complete(local: InProcess, name: str) -> Timings:
    """Generate a function body. With a new first line, the engine cannot reuse the evaluated prompt."""
    source = f"# {secrets.token_hex(4)}\n{_SAMPLE}def {name}(values):\n    "
    request = Completion(
        cells=[Cell(source=source)], offset=len(source), max_tokens=SPEED_TOKENS, lines="multi"
    )
    return local.last(request).timings


def rates_of(runs: Sequence[Timings], *, is_remote: bool = False) -> tuple[float, float] | None:
    """Return the best tokens/s of prompt evaluation and generation; None if they are not plausible."""
    prefill = max((run.prompt_tokens - run.cached_tokens) / max(run.prompt_ms, 0.1) for run in runs) * 1000
    # The prompt evaluation yields the first token.
    generation = max(
        (
            (run.predicted_tokens - 1) / max(run.predicted_ms, 0.1) * 1000
            for run in runs
            if run.predicted_tokens >= LEAST_TOKENS
        ),
        default=0.0,
    )
    # A local engine evaluates the tokens of a prompt together, which is never slower than one by one. The
    # times of a remote one include the network.
    is_plausible = generation > 0 and (is_remote or generation <= prefill)
    return (prefill, generation) if is_plausible else None


def _busy_advice(engine: str) -> str:
    load, cores = psutil.getloadavg()[0], machine.cores()
    if engine == "remote" or load <= cores:
        return ""
    return f"This machine is busy (load {load:.1f} on {cores} cores): measure again while it is idle."


def _speed(local: InProcess) -> Finding:
    pilot = local.pilot
    engine = pilot.settings.engine
    faster = _FASTER.get(engine, "close busy programs")  # the default: for engines of plugins
    busy = _busy_advice(engine)  # before the model is loaded, which raises the load
    local.wait()
    runs = [_complete(local, name) for name in _FUNCTIONS]
    rates = rates_of(runs, is_remote=engine == "remote")
    if not rates:
        advice = busy or f"Try again, and {faster}."
        return Finding(
            "speed", f"not measured: the engine was too slow or its times vary. {advice}", problem=True
        )
    prefill, generation = rates
    speed = f"prompt evaluation {prefill:.0f} tokens/s, generation {generation:.0f} tokens/s."
    slow = generation < MIN_TOKENS_PER_SECOND
    if slow:
        speed += f" This is slow. {busy}" if busy else f" This is slow: {faster}."
    elif engine != "remote" and pilot.completer.first_prompt_tokens(Speed(prefill)):
        nearest = "the first suggestions in a long notebook use only the nearest cells."
        speed += f" This machine is slow: {nearest} {busy}"
    else:
        return Finding("speed", speed)
    if engine == "llama":
        speed = f"{speed.strip()} {pilot.library.advise_on(pilot.worker.state.model, generation)}"
    return Finding("speed", speed.strip(), problem=slow)


def _extensions() -> Iterator[Finding]:
    from jupyter_server.extension.config import ExtensionConfigManager

    enabled = (
        ExtensionConfigManager(read_config_path=jupyter_config_path())
        .get_jpserver_extensions()
        .get("jupyter_turbopilot", False)
    )
    yield Finding(
        "server",
        "the extension is enabled"
        if enabled
        else "the extension is not enabled. Run: jupyter server extension enable jupyter_turbopilot",
        problem=not enabled,
    )
    own = front_end.own_build(Path(__file__).parents[2] / "labextension")
    yield front_end.examine(jupyter_path("labextensions"), own)


def _plugins(settings: Turbopilot) -> Iterator[Finding]:
    """Report the plugins of other packages, and those that cannot be imported or fail."""
    from jupyter_turbopilot.completer import listeners
    from jupyter_turbopilot.fixes import find
    from jupyter_turbopilot.jupyter.routes import table

    def probed(group: str, entry: registry.Entry, found: Any) -> Any:
        """Call functions that only a running server calls."""
        if group == "fixes" and not entry.is_own:
            find.probe(entry, found)
        elif group == "listeners" and not entry.is_own:
            listeners.probe(found, settings)
        return found

    if listeners.is_usage_log_missing(settings):
        yield Finding("usage log", registry.install_advice("c.Turbopilot.usage_log"), problem=True)
    table.loaded()
    terminal_plugins()
    others = sorted(
        f"{entry.name} ({group})"
        for group in registry.registered()
        for entry in registry.found(group)
        if entry.load(partial(probed, group, entry)) is not None and not entry.is_own
    )
    if others:
        yield Finding("plugins", ", ".join(others))
    for value, reason in registry.failures.items():
        yield Finding("plugins", f"{value} does not work: {reason}", problem=True)
