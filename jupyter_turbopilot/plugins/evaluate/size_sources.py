"""The input values of `jupyter turbopilot size`: given, from metrics of a server, or measured here."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from jupyter_turbopilot.engine.llama.kind import LlamaKind
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.engine.load.plan import Limits, fit, sizes_of
from jupyter_turbopilot.jupyter.pilot.library import store_of
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.plugins.evaluate import crowd
from jupyter_turbopilot.plugins.evaluate.notebooks import read, standard_library
from jupyter_turbopilot.plugins.evaluate.size import Figure
from jupyter_turbopilot.plugins.evaluate.sizing import ModelMemory
from jupyter_turbopilot.protocol.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.terminal.commands.progress import Bar
from jupyter_turbopilot.terminal.in_process import InProcess

if TYPE_CHECKING:
    from jupyter_turbopilot.plugins.evaluate.crowd import Measured
    from jupyter_turbopilot.plugins.evaluate.size import Options
    from jupyter_turbopilot.settings.config import Turbopilot

MAX_SIMULATED_USERS = 16  # maximum simulated users
_OTHERWISE = "Or set --requests-per-second and --seconds-per-request from an earlier measurement."


def rate(options: Options) -> Figure | None:
    """Return the requests per second and typing user, if given or available from metrics."""
    if options.requests_per_second:
        return Figure(options.requests_per_second, "given")
    if not options.from_metrics:
        return None
    if len(options.from_metrics) > 2:  # noqa: PLR2004
        raise BadRequestError(
            "--from-metrics takes one source, or a source and earlier metrics of the same server."
        )
    now, *earlier = (crowd.read_counters(*_metrics(source)) for source in options.from_metrics)
    each = crowd.requests_per_second(now, *earlier) / options.metrics_users
    since = "between the two" if earlier else "on average since it started; a busy hour has more"
    # The metrics count all users; the formula multiplies by the typing share again.
    return Figure(
        each / options.typing_share,
        f"from metrics: {each:.3g} per second and user for {options.metrics_users} users, {since}",
    )


def _metrics(source: str) -> tuple[str, float]:
    """Download or read metrics; return them and their time."""
    try:
        if source.startswith(("http://", "https://")):
            answer = httpx.get(source, timeout=10.0)
            answer.raise_for_status()
            return answer.text, time.time()
        path = Path(source)
        return path.read_text("utf-8"), path.stat().st_mtime
    except httpx.HTTPStatusError as error:
        raise TurbopilotError(
            f"{source} answered {error.response.status_code}. If it requires a key, download the metrics "
            "to a file, and pass the file."
        ) from None
    except httpx.HTTPError as error:
        raise TurbopilotError(f"{source} cannot be reached ({type(error).__name__}).") from None
    except (OSError, ValueError, httpx.InvalidURL) as error:
        raise BadRequestError(f"{source} cannot be read ({type(error).__name__}).") from None


def measure(options: Options, settings: Turbopilot) -> list[Measured]:
    """Measure one simulated user, then as many as reach the requested utilisation."""
    if settings.engine == "remote":
        raise BadRequestError(
            "The model runs on a remote server, so it cannot be measured here. Run this command there. "
            f"{_OTHERWISE}"
        )
    try:
        typed = read(options.notebooks) if options.notebooks else standard_library()
    except BadRequestError as error:
        error.hint = _OTHERWISE
        raise
    if not typed:
        raise TurbopilotError(f"This Python's standard library contains no suitable functions. {_OTHERWISE}")
    # The measured requests are the only load.
    settings.keep_sequences = settings.yield_cpu = settings.learning = False
    settings.cache_file = ""
    local = InProcess(settings)
    try:
        local.wait()
        runs: list[Measured] = []
        for name in ("one user", "several users"):
            users = runs[0].users_for(options.utilisation, MAX_SIMULATED_USERS) if runs else 1
            if users > 1 or not runs:
                with Bar(name) as bar:
                    runs.append(
                        crowd.simulate_users(
                            local,
                            typed,
                            users,
                            options.seconds,
                            options.key_interval / 1000,
                            lambda passed, bar=bar: bar.show(  # type: ignore[misc]
                                min(passed, options.seconds), options.seconds, f"of {options.seconds} s"
                            ),
                        )
                    )
    finally:
        local.close()
    if not runs[-1].requests:
        raise TurbopilotError(f"No request reached the model in that time. Increase --seconds. {_OTHERWISE}")
    return runs


def model_memory(settings: Turbopilot) -> ModelMemory | None:
    """Return the memory use from the model's file, or None if there is no local file or another engine."""
    if settings.engine != "llama":
        return None
    kind, model = LlamaKind(settings, store_of(settings)), find(settings.model)
    if not kind.store.has(model):
        return None
    path, hardware = kind.weights(model)
    header = read_header(path)
    sizes = sizes_of(header, hardware)
    # ModelMemory adds the users' sequences separately; the plan covers the shared compute buffers.
    plan = fit(sizes, model.name, Limits(context_size=settings.context_size), machine.UNLIMITED)
    computing = plan.needs - sizes.weights
    return ModelMemory(header.file_size, computing, sizes.token, plan.context_size)
