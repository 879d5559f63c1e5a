"""Where the figures of `jupyter turbopilot size` come from: given, counted by a server, measured here."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from jupyter_turbopilot.commands.progress import Bar
from jupyter_turbopilot.commands.size import Figure
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.engine.load.plan import Limits, fit, sizes_of
from jupyter_turbopilot.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.evaluate import crowd
from jupyter_turbopilot.evaluate.notebooks import read, standard_library
from jupyter_turbopilot.evaluate.sizing import ModelMemory
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.pilot.kinds.llama import LlamaKind
from jupyter_turbopilot.pilot.library import store_of
from jupyter_turbopilot.shell.in_process import InProcess

if TYPE_CHECKING:
    from jupyter_turbopilot.commands.size import Options
    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.evaluate.crowd import Measured

MOST_TYPISTS = 16  # that type here at once
_OTHERWISE = "Or give --requests-per-second and --seconds-per-request, as they were measured before."


def rate(options: Options) -> Figure | None:
    """Return the requests a second of one who types, where they are given or counted elsewhere."""
    if options.requests_per_second:
        return Figure(options.requests_per_second, "given")
    if not options.from_metrics:
        return None
    if len(options.from_metrics) > 2:  # noqa: PLR2004
        raise BadRequestError(
            "--from-metrics takes one source, or a source and earlier counters of the same."
        )
    now, *earlier = (crowd.read_counters(*_metrics(source)) for source in options.from_metrics)
    each = crowd.requests_per_second(now, *earlier) / options.metrics_people
    since = "between the two" if earlier else "on average since it started: a busy hour has more"
    # Counted of all, typing or not: what is divided here is multiplied again.
    return Figure(
        each / options.typing_share,
        f"counted by a server, {each:.3g} a second of each of {options.metrics_people}, {since}",
    )


def _metrics(source: str) -> tuple[str, float]:
    """Fetch or read counters; return them and when they were taken."""
    try:
        if source.startswith(("http://", "https://")):
            answer = httpx.get(source, timeout=10.0)
            answer.raise_for_status()
            return answer.text, time.time()
        path = Path(source)
        return path.read_text("utf-8"), path.stat().st_mtime
    except httpx.HTTPStatusError as error:
        raise TurbopilotError(
            f"{source} answers {error.response.status_code}. Fetch its counters with the key that it wants "
            "into a file, and name the file."
        ) from None
    except httpx.HTTPError as error:
        raise TurbopilotError(f"{source} cannot be fetched ({type(error).__name__}).") from None
    except (OSError, ValueError, httpx.InvalidURL) as error:
        raise BadRequestError(f"{source} cannot be read ({type(error).__name__}).") from None


def measure(options: Options, settings: Turbopilot) -> list[Measured]:
    """Have one type, then as many as load the model as it is to be loaded."""
    if settings.engine == "remote":
        raise BadRequestError(
            "The model computes elsewhere, so its time cannot be measured here: run this command there. "
            f"{_OTHERWISE}"
        )
    try:
        typed = read(options.notebooks) if options.notebooks else standard_library()
    except BadRequestError as error:
        error.hint = _OTHERWISE
        raise
    if not typed:
        raise TurbopilotError(f"There are no notebooks with code in this Python. {_OTHERWISE}")
    # Only these requests use the replica.
    settings.keep_sequences = settings.considerate = settings.learning = False
    settings.results_file = ""
    local = InProcess(settings)
    try:
        local.wait()
        runs: list[Measured] = []
        for name in ("one types", "several type"):
            people = runs[0].people_for(options.utilisation, MOST_TYPISTS) if runs else 1
            if people > 1 or not runs:
                with Bar(name) as bar:
                    runs.append(
                        crowd.type_at_once(
                            local,
                            typed,
                            people,
                            options.seconds,
                            options.key / 1000,
                            lambda passed, bar=bar: bar.show(  # type: ignore[misc]
                                min(passed, options.seconds), options.seconds, f"of {options.seconds} s"
                            ),
                        )
                    )
    finally:
        local.close()
    if not runs[-1].requests:
        raise TurbopilotError(
            f"Nothing was asked of the model in that time. Type longer (--seconds). {_OTHERWISE}"
        )
    return runs


def model_memory(settings: Turbopilot) -> ModelMemory | None:
    """Read off the model's file what it takes; None where only the engine knows, or it is not here."""
    if settings.engine != "llama":
        return None
    kind, model = LlamaKind(settings, store_of(settings)), find(settings.model)
    if not kind.store.has(model):
        return None
    path, hardware = kind.weights(model)
    header = read_header(path)
    sizes = sizes_of(header, hardware)
    # What is kept of people's notebooks is counted by the people; here is what computes for all of them.
    plan = fit(sizes, model.name, Limits(context_size=settings.context_size), machine.UNLIMITED)
    computing = plan.needs - sizes.weights
    return ModelMemory(header.file_size, computing, sizes.token, plan.context_size)
