"""`jupyter turbopilot doctor`: what is installed, how fast it is, and what to do about each problem."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from jupyter_turbopilot.commands.command import Command, NoOptions, add_model_and_engine
from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.pilot.kinds.base import Finding
from jupyter_turbopilot.suggestion.fit import is_fitted_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.shell.in_process import InProcess

SPEED_TOKENS = 32
SLOW_TOKENS_A_SECOND = 12
_SAMPLE = "def mean(values):\n    return sum(values) / len(values)\n\n\n" * 8


def run(_: NoOptions, settings: Turbopilot) -> int:
    """Print what is found, and count the problems."""
    problems = 0
    for line in examine(settings):
        print(f"{'✗' if line.problem else '✓'} {line.name:<12} {line.text}")
        problems += line.problem
    print(_count(problems) if problems else "No problems found.")
    return 1 if problems else 0


def _count(problems: int) -> str:
    return f"{problems} problem{'' if problems == 1 else 's'} found."


def examine(settings: Turbopilot) -> Iterator[Finding]:
    """Examine the machine, the packages, the engine, the model and the extensions, in this order."""
    from jupyter_turbopilot.engine.load import machine

    yield Finding("system", f"{platform.platform()}, Python {platform.python_version()}")
    yield from _packages()
    yield Finding(
        "machine",
        f"{machine.cores()} cores to use, {machine.threads(settings.threads)} threads, "
        f"{machine.free_memory() / 1e9:.1f} GB of memory free",
    )
    yield from _engine(settings)
    yield from _server_extension()


def _packages() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    for name in ("jupyter-turbopilot", "jupyterlab", "jupyter-server", "ipython"):
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            yield Finding(name, f"missing. Run: python -m pip install {name}", problem=True)


def _engine(settings: Turbopilot) -> Iterator[Finding]:
    """Examine the engine and its model; where neither has a problem, measure how fast they are."""
    from jupyter_turbopilot.shell.in_process import InProcess

    settings.results_file = ""  # a known answer says nothing of the speed
    local = InProcess(settings)
    try:
        kind = local.pilot.kind
        if kind.address:
            yield Finding("address", f"code is sent to {kind.address}")
        findings = [*kind.examine()]
        yield from findings
        if not any(finding.problem and finding.name in {"engine", "model"} for finding in findings):
            yield _speed(local)
            yield _gate(local.pilot.worker.state.model)
    except TurbopilotError as error:
        yield Finding("speed", error.message, problem=True)
    finally:
        local.close()


def _gate(model: str) -> Finding:
    """Say whether the decision what appears by itself is fitted to the model."""
    fitted = "fitted to this model" if is_fitted_to(model) else "not fitted to this model (docs/engines.md)"
    return Finding("gate", fitted)


_FASTER = {
    "llama": "try smollm2-135m, or close what keeps the cores busy",
    "transformers": 'try c.Turbopilot.engine = "llama" with a GGUF file, or close what keeps the cores busy',
    "remote": "the server or the way to it is",
}


def _speed(local: InProcess) -> Finding:
    """Say how fast a completion is."""
    from jupyter_turbopilot.models import speed
    from jupyter_turbopilot.request import Cell, Completion

    pilot, source = local.pilot, f"{_SAMPLE}def median(values):\n    "
    asked = Completion(
        cells=[Cell(source=source)], offset=len(source), max_tokens=SPEED_TOKENS, lines="multi"
    )
    reply = local.last(asked)
    if reply.error:
        return Finding("speed", reply.error.message, problem=True)
    timings = reply.timings
    if not timings.predicted_tokens:
        return Finding("speed", "not measured: nothing was written in time. Try again.", problem=True)
    read = timings.prompt_tokens / max(timings.prompt_ms, 0.1) * 1000
    write = timings.predicted_tokens / max(timings.predicted_ms, 0.1) * 1000
    stored = pilot.kind.stored(pilot.kind.find(pilot.selected))
    if stored and pilot.settings.engine == "llama":  # what other engines read a second says nothing of it
        speed.remember(pilot.store.folder, stored.size * write, rough=True)
    slow = write < SLOW_TOKENS_A_SECOND
    advice = f" That is slow: {_FASTER[pilot.settings.engine]}." if slow else ""
    return Finding("speed", f"reads {read:.0f}, writes {write:.0f} tokens a second.{advice}", problem=slow)


def _server_extension() -> Iterator[Finding]:
    from jupyter_core.paths import jupyter_config_path, jupyter_path
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
    front = any(
        os.path.isfile(os.path.join(folder, "labextensions", "jupyter-turbopilot", "package.json"))  # noqa: PTH113, PTH118
        for folder in jupyter_path()
    )
    yield Finding(
        "front end",
        "the JupyterLab extension is installed"
        if front
        else "it is missing. Run: python -m pip install --force-reinstall jupyter-turbopilot",
        problem=not front,
    )


COMMAND = Command(
    "doctor",
    "check the installation and its speed, and say what to do about problems",
    NoOptions,
    add_model_and_engine,
    run,
)
