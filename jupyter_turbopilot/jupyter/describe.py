"""The state of the pilot and its models as JSON, for the routes, the command line and the magics."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.models.recommend import FULL_TOKENS_PER_SECOND, share_saved
from jupyter_turbopilot.models.tuning import adapters
from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.protocol.phase import Phase
from jupyter_turbopilot.settings.access import PATHLESS_WARNING

if TYPE_CHECKING:
    from jupyter_turbopilot.index.reader import MaintainedIndex
    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.models.recommend import Advice
    from jupyter_turbopilot.settings.config import Turbopilot


def describe_health(
    pilot: Pilot,
    notebook_index: MaintainedIndex | None = None,
    *,
    own: bool = False,
    logged: bool = False,
    for_admin: bool = False,
) -> dict[str, Any]:
    """Describe the server's state.

    `own`: whether the caller may manage the server and the statistics cover the caller's suggestions.
    `logged`: whether listeners receive the caller's suggestions. `for_admin`: whether the caller may
    see paths and settings of the server.
    """
    state = pilot.worker.state
    loading = state.phase is Phase.LOADING
    reason = state.reason or (f"The server is loading {state.model}." if loading else None)
    if for_admin and reason and state.hint:
        reason = f"{reason} {state.hint}"
    health = {
        "status": "ok" if state.ready else "loading model" if loading else "error",
        "live": pilot.worker.alive(),
        "ready": state.ready,
        "phase": str(state.phase),
        "code": state.code or None,
        "model": state.model or pilot.selected,
        "reason": None if state.ready else reason,
        "command": None if state.ready else state.command or None,
        "address": pilot.kind.address or None,
        "notice": _notice(pilot, for_admin=for_admin) if state.ready else None,
        "busy": bool(pilot.worker.level()),
        "slow": _slow(pilot) if own and state.ready else None,
        "last_ms": pilot.completer.shared.last_ms,
        "fixes": pilot.settings.suggest_fixes,
        "week": _week(pilot) if own else None,
        "notebook_index": _notebook_index(notebook_index) if notebook_index else None,
    }
    added = pilot.completer.listeners.describe(own=own) if logged else {}
    return health | {"usage_log": None} | added | health  # no listener replaces the server's own fields


def _notebook_index(notebook_index: MaintainedIndex) -> dict[str, Any]:
    """Describe the progress of the notebook index, and record that a page is open."""
    notebook_index.builder.attended()
    progress = notebook_index.builder.progress
    return {
        "building": progress.building,
        "files": progress.files,
        "found": progress.found,
        "paused": progress.paused,
        "root": notebook_index.source.root,
        "path": str(notebook_index.builder.path),
        "error": progress.error or None,
    }


def _week(pilot: Pilot) -> dict[str, int | float | None] | None:
    if not pilot.statistics:
        return None
    week = pilot.statistics.week
    retained = week.retained / week.executed if week.executed else None
    return {"shown": week.shown, "accepted": week.accepted, "saved": week.saved, "retained": retained}


def _notice(pilot: Pilot, *, for_admin: bool) -> str | None:
    """Return the limitations of a server that is ready."""
    error, engine = pilot.worker.state.reason, pilot.worker.engine
    if not error and engine and not engine.capabilities.logprobs and pilot.settings.eagerness != "always":
        error = (
            "This engine does not return logprobs, so suggestions appear only on explicit request. "
            'Set c.Turbopilot.eagerness = "always" to show every suggestion.'
        )
    pathless = PATHLESS_WARNING if for_admin and pilot.access.denied else ""
    return " ".join(filter(None, (error, pilot.cache_error, pathless))) or None


def _slow(pilot: Pilot) -> str | None:
    """Return that the machine is slow, and which model fits it."""
    if not (engine := pilot.worker.engine):
        return None
    speed = engine.speed
    # On a fast machine, too, the short batches of keystrokes evaluate slowly.
    is_late = 0 < speed.generation < FULL_TOKENS_PER_SECOND
    if not is_late or not pilot.completer.first_prompt_tokens(speed):
        return None
    advice = pilot.library.advise_on(pilot.worker.state.model, speed.generation)
    return f"This machine is slow, or other programs use the processor. {advice}"


def model_list(name: str, **more: Any) -> dict[str, Any]:
    """Return OpenAI's list of models: the model `name`, or none if the name is empty."""
    model = {"id": name, "object": "model", "created": 0, "owned_by": "jupyter-turbopilot"} | more
    return {"object": "list", "data": [model] if name else []}


def describe_models(pilot: Pilot) -> list[dict[str, Any]]:
    """Describe all models that can be selected, and those that need another engine."""
    engine = pilot.worker.engine
    library = pilot.library
    advice = library.advice(engine.name, engine.speed.generation) if engine else library.advice()
    return [
        _model(pilot, model) | _assessment(pilot.settings.engine, model, advice.get(model.name))
        for model in pilot.kind.models(pilot.selected)
    ]


def _model(pilot: Pilot, model: Model) -> dict[str, Any]:
    store, download = pilot.store, pilot.library.download_of(model)
    stored = pilot.kind.stored(model)
    running = download if download and not download.finished.is_set() else None
    return {
        "name": model.name,
        "spec": model.spec,
        "size": stored.size if stored and not stored.damaged else model.bytes or None,
        "exact_size": bool(
            (stored and not stored.damaged) or model.size
        ),  # otherwise the size is an estimate
        "architecture": model.architecture,
        "fim": model.fim,
        "checkpoint": model.checkpoint if model.engine == "llama" else "",  # other engines need no conversion
        "licence": model.licence,
        "use": model.use,
        "saved": _measured_saving(pilot, model),
        "stored": bool(stored and not stored.damaged),
        "damaged": bool(stored and stored.damaged),
        "received": store.received(model),
        "removable": store.is_removable(model),
        "verified": bool(stored and stored.verified),
        "selected": pilot.worker.state.model == model.name,
        "adapters": _adapters(pilot.settings, model),
        "adapters_enabled": pilot.adapters_enabled,
        "pulling": running is not None,
        "copying": pilot.copying == model.name,
        "failed": download.failure if download else None,
        "progress": asdict(running.step) if running else None,
        # Downloads use the publisher's source unless the user allows mirrors.
        "mirror": len(store.sources(model, mirrors=True)) > len(store.sources(model)),
        "mirror_only": model.is_mirror_only and not store.mirrors,
        "gpu_offer": pilot.kind.gpu_offer(model) if pilot.worker.state.model == model.name else "",
    }


def _assessment(engine: str, model: Model, advice: Advice | None) -> dict[str, Any]:
    """Return the estimated memory and speed of a GGUF model on this machine."""
    if model.engine != engine:
        return {"verdict": f"with {model.engine}"}
    if model.engine != "llama" or advice is None:
        return {}
    return {
        "memory": advice.memory,
        "tokens_per_second": round(advice.tokens_per_second, 1),
        "verdict": advice.verdict,
    }


def _measured_saving(pilot: Pilot, model: Model) -> float | None:
    """Return the measured keystrokes saved, if the configuration is the measured one.

    That is llama.cpp with only the adapter that ships with the package.
    """
    shipped = adapters.chosen([adapters.OURS], model.name, configured=True)
    try:
        as_measured = model.engine == "llama" and shipped == (
            adapters.adapters_of(pilot.settings, model) if pilot.adapters_enabled else ()
        )
    except TurbopilotError:
        as_measured = False
    return share_saved(model.name) if as_measured else None


def _adapters(settings: Turbopilot, model: Model) -> list[dict[str, Any]]:
    """Describe a model's adapters; none if the setting is invalid, which `doctor` reports."""
    try:
        chosen = adapters.adapters_of(settings, model)
    except TurbopilotError:
        return []
    ours = str(adapters.ours(model.name))
    return [{"name": Path(a.path).stem, "bundled": a.path == ours} for a in chosen]
