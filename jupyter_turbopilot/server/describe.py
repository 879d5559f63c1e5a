"""What routes, the command line and the notebook tell of the pilot and its models, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.lifecycle import Phase
from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.models.recommend import share_saved
from jupyter_turbopilot.models.tuning import adapters

if TYPE_CHECKING:
    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.memory.reader import KeptMemory
    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.models.recommend import Advice
    from jupyter_turbopilot.pilot.pilot import Pilot


def describe_health(
    pilot: Pilot, memory: KeptMemory | None = None, *, own: bool = False, logged: bool = False
) -> dict[str, Any]:
    """Describe the server's state; a load that failed may be tried again.

    `own`: whether the caller's suggestions are counted, and the caller may manage the server; `logged`:
    whether a study log would have the caller's suggestions.
    """
    pilot.retry()
    state = pilot.worker.state
    loading = state.phase is Phase.LOADING
    reason = state.reason or (f"{state.model} is being loaded." if loading else None)
    return {
        "status": "ok" if state.ready else "loading model" if loading else "error",
        "live": pilot.worker.alive(),
        "ready": state.ready,
        "phase": str(state.phase),
        "code": state.code or None,
        "model": state.model or pilot.selected,
        "reason": None if state.ready else reason,
        "address": pilot.kind.address or None,
        "notice": _notice(pilot) if state.ready else None,
        "last_ms": pilot.completer.last_ms,
        "week": _week(pilot) if own else None,
        "memory": _memory(memory) if memory else None,
        "study": _study(pilot, own=own) if logged else None,
    }


def _study(pilot: Pilot, *, own: bool) -> dict[str, Any] | None:
    """Say whether a log is kept of suggestions, and how that goes; where, to whom the server belongs."""
    if not (study := pilot.completer.study):
        return None
    return {"text": study.text, "file": study.name if own else None, "trouble": study.trouble or None}


def _memory(memory: KeptMemory) -> dict[str, Any]:
    """Say how far the index of the person's own code is, for somebody who has a page open."""
    memory.builder.attended()
    progress = memory.builder.progress
    return {
        "building": progress.building,
        "files": progress.files,
        "of": progress.of,
        "paused": progress.paused,
        "root": memory.source.root,
        "place": str(memory.builder.place),
        "trouble": progress.trouble or None,
    }


def _week(pilot: Pilot) -> dict[str, int] | None:
    """Say how many suggestions were taken of those that appeared, this week."""
    if not (learner := pilot.completer.learner):
        return None
    week = learner.week
    return {"shown": week.shown, "taken": week.taken}


def _notice(pilot: Pilot) -> str | None:
    """Return what does not work although the engine does."""
    trouble, engine = pilot.worker.state.reason, pilot.worker.engine
    if not trouble and engine and not engine.abilities.chances and pilot.settings.eagerness != "always":
        trouble = (
            "This engine does not say how sure it is, so suggestions appear only when they are asked for. "
            'With c.Turbopilot.eagerness = "always" every one appears.'
        )
    return " ".join(filter(None, (trouble, pilot.results_trouble))) or None


def describe_models(pilot: Pilot) -> list[dict[str, Any]]:
    """Describe every model that can be chosen, and those that another engine runs."""
    advice = pilot.library.advice()
    return [
        _model(pilot, model) | _judged(pilot.settings.engine, model, advice.get(model.name))
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
        "counted": bool((stored and not stored.damaged) or model.size),  # otherwise the size is an estimate
        "architecture": model.architecture,
        "fim": model.fim,
        "checkpoint": model.checkpoint if model.engine == "llama" else "",  # others convert nothing
        "licence": model.licence,
        "use": model.use,
        "saved": _saved(pilot, model),
        "stored": bool(stored and not stored.damaged),
        "damaged": bool(stored and stored.damaged),
        "received": store.received(model),
        "removable": store.is_removable(model),
        "verified": bool(stored and stored.verified),
        "selected": pilot.worker.state.model == model.name,
        "adapters": _adapters(pilot.settings, model),
        "tuned": pilot.tuned,
        "pulling": running is not None,
        "failed": download.failure if download else None,
        "progress": asdict(running.step) if running else None,
        # The publisher's own source comes first; a mirror needs the person's yes.
        "mirror": len(store.sources(model, mirrors=True)) > len(store.sources(model)),
        "mirror_only": model.is_mirror_only and not store.mirrors,
    }


def _judged(engine: str, model: Model, advice: Advice | None) -> dict[str, Any]:
    """Say how a model would do on this machine; only of GGUF files is it known."""
    if model.engine != engine:
        return {"verdict": f"with {model.engine}"}
    if model.engine != "llama" or advice is None:
        return {}
    return {
        "memory": advice.memory,
        "tokens_a_second": round(advice.tokens_a_second, 1),
        "verdict": advice.verdict,
    }


def _saved(pilot: Pilot, model: Model) -> float | None:
    """Say what a model saves, if it is used as that was measured: by llama.cpp, with our adapter alone."""
    shipped = adapters.chosen([adapters.OURS], model.name, configured=True)
    try:
        as_measured = model.engine == "llama" and shipped == (
            adapters.adapters_of(pilot.settings, model) if pilot.tuned else ()
        )
    except TurbopilotError:
        as_measured = False
    return share_saved(model.name) if as_measured else None


def _adapters(settings: Turbopilot, model: Model) -> list[dict[str, Any]]:
    """Name a model's adapters; a setting that makes no sense is `doctor`'s to say."""
    try:
        chosen = adapters.adapters_of(settings, model)
    except TurbopilotError:
        return []
    ours = str(adapters.ours(model.name))
    return [{"name": Path(a.path).stem, "language": a.language, "ours": a.path == ours} for a in chosen]
