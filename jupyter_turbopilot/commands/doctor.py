"""`jupyter turbopilot doctor`: what is installed, how fast it is, and what to do about each problem."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.commands.command import Command, NoOptions, add_model
from jupyter_turbopilot.errors import TurbopilotError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.config import Turbopilot

SPEED_TOKENS = 32
SLOW_TOKENS_A_SECOND = 12
_SAMPLE = "def mean(values):\n    return sum(values) / len(values)\n\n\n" * 8


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    name: str
    text: str
    problem: bool = False


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
    engine_works = True
    try:
        from jupyter_turbopilot.engine.llama import bindings as llama

        yield Finding("engine", f"llama-cpp-python {llama.version()}: {llama.instruction_sets()}")
        yield _graphics(settings, able=llama.supports_gpu())
        yield from _adapters(settings)
    except TurbopilotError as error:
        engine_works = False
        yield Finding("engine", f"{error.message} {error.hint}".strip(), problem=True)
    yield from _model(settings, engine_works=engine_works)
    yield from _server_extension()


def _adapters(settings: Turbopilot) -> Iterator[Finding]:
    """Say of each adapter whether it is one, and for what."""
    from jupyter_turbopilot.models.catalog import find
    from jupyter_turbopilot.models.tuning.adapters import check, chosen

    try:
        adapters = chosen(settings.adapters, find(settings.model).name, configured=True)
    except TurbopilotError as error:
        yield Finding("adapter", error.message, problem=True)
        return
    for name, scale, language in adapters:
        try:
            path = Path(name)
            header = check(path)
            size = f"{header.file_size / 1e6:.0f} MB"
            where = f" in {language} alone" if language else ""
            counts = f"for a {header.architecture}, counts {scale:g}{where}"
            yield Finding("adapter", f"{path.name}, {size}, {counts}")
        except TurbopilotError as error:
            yield Finding("adapter", error.message, problem=True)


def _graphics(settings: Turbopilot, *, able: bool) -> Finding:
    """Say whether layers can be computed by a graphics card, and whether they are to be."""
    layers = settings.gpu_layers
    if layers and not able:
        return Finding(
            "graphics",
            "gpu_layers is set, but this engine was built without GPU support. Build it for the GPU "
            "(docs/models.md), or set c.Turbopilot.gpu_layers = 0.",
            problem=True,
        )
    if layers:
        count = "all" if layers < 0 else layers
        return Finding("graphics", f"{count} layers on card {settings.main_gpu}")
    return Finding("graphics", "none used" + (": c.Turbopilot.gpu_layers = -1 would" if able else ""))


def _packages() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    for name in ("jupyter-turbopilot", "jupyterlab", "jupyter-server", "ipython"):
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            yield Finding(name, f"missing. Run: python -m pip install {name}", problem=True)


def _model(settings: Turbopilot, *, engine_works: bool) -> Iterator[Finding]:
    from jupyter_turbopilot.models import speed
    from jupyter_turbopilot.models.catalog import find
    from jupyter_turbopilot.request import Cell, Completion
    from jupyter_turbopilot.shell.in_process import InProcess

    local = InProcess(settings)
    store = local.pilot.store
    try:
        model = find(settings.model)
    except TurbopilotError as error:
        yield Finding("model", error.message, problem=True)
        return
    stored = store.stored(model)
    if stored is None:
        yield Finding(
            "model",
            f"{model.name} is not on this machine. Run: jupyter turbopilot models pull {settings.model}",
            problem=True,
        )
        free = shutil.disk_usage(os.path.expanduser("~")).free  # noqa: PTH111 - before the folder exists
        yield Finding("disk", f"{free / 1e9:.1f} GB free", problem=bool(model.size and free < model.size))
        return
    checked = (
        "checked by digest"
        if stored.verified
        else "unverified: run `jupyter turbopilot models verify`"
        if model.sha256
        else "unverified: its publisher gives no digest"
    )
    yield Finding("model", f"{model.name}, {stored.size / 1e6:.0f} MB, {checked}, {stored.path}")
    if not engine_works:
        return
    try:
        request = Completion(
            cells=[Cell(source=f"{_SAMPLE}def median(values):\n    ")],
            offset=len(_SAMPLE) + len("def median(values):\n    "),
            max_tokens=SPEED_TOKENS,
            lines="multi",
        )
        timings = local.last(request).timings
        read = timings.prompt_tokens / max(timings.prompt_ms, 0.1) * 1000
        write = timings.predicted_tokens / max(timings.predicted_ms, 0.1) * 1000
        speed.remember(store.folder, stored.size * write, rough=True)
        slow = write < SLOW_TOKENS_A_SECOND
        advice = " That is slow: try smollm2-135m, or close what keeps the cores busy." if slow else ""
        yield Finding("speed", f"reads {read:.0f}, writes {write:.0f} tokens a second.{advice}", problem=slow)
    except TurbopilotError as error:
        yield Finding("speed", error.message, problem=True)
    finally:
        local.close()


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
    add_model,
    run,
)
