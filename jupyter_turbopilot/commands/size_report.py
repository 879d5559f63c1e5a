"""What `jupyter turbopilot size` has found, worded for a person and as JSON. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.files import MEGABYTE, count_of, describe_size

if TYPE_CHECKING:
    from jupyter_turbopilot.evaluate.crowd import Measured
    from jupyter_turbopilot.evaluate.sizing import Demand, MemoryNeeded, ModelMemory


class Figure(NamedTuple):
    """A number, and where it comes from."""

    value: float
    how: str


@dataclass(frozen=True)
class Sized:
    """What was found, and all that it rests on."""

    demand: Demand
    utilisation: float
    replicas: int
    rate: str  # where the requests a second come from
    seconds: str  # and the seconds a request
    runs: tuple[Measured, ...]
    model: ModelMemory | None
    memory: MemoryNeeded | None


def as_json(sized: Sized) -> dict[str, Any]:
    """Word it for a program."""
    demand = sized.demand
    memory = sized.memory
    return {
        "replicas": sized.replicas,
        "exactly": demand.exactly(sized.utilisation),
        "people": demand.people,
        "typing_share": {"value": demand.typing_share, "how": "assumed"},
        "requests_per_second": {"value": demand.requests_per_second, "how": sized.rate},
        "seconds_per_request": {"value": demand.seconds_per_request, "how": sized.seconds},
        "utilisation": sized.utilisation,
        "runs": [
            asdict(run)
            | {
                "requests_per_second": run.requests_per_second,
                "seconds_per_request": run.seconds_per_request,
                "utilisation": run.utilisation,
            }
            for run in sized.runs
        ],
        "memory": asdict(memory) | {"each": memory.each, "all": memory.all} if memory else None,
    }


def words(sized: Sized) -> str:
    """Word it for a person."""
    demand = sized.demand
    rows = [
        ("people", f"{demand.people}", "given"),
        ("share typing at once", f"{demand.typing_share:g}", "assumed: count yours, and set --typing-share"),
        ("requests a second of one who types", f"{demand.requests_per_second:.3g}", sized.rate),
        ("seconds of a replica for a request", f"{demand.seconds_per_request:.3g}", sized.seconds),
        ("part of the time a replica is busy", f"{sized.utilisation:g}", "at most"),
    ]
    head = (
        f"{count_of(sized.replicas, 'replica')}: {demand.people} people x {demand.typing_share:g} typing x "
        f"{demand.requests_per_second:.3g} requests a second x {demand.seconds_per_request:.3g} s "
        f"/ {sized.utilisation:g} = {demand.exactly(sized.utilisation):.4g}"
    )
    return "\n".join(
        [
            head,
            "",
            *(f"  {name:<36}{value:<8}{how}" for name, value, how in rows),
            "",
            *_memory(sized),
            *_load(sized),
            "A replica is a server on a machine like this one, with all that its threads use.",
        ]
    )


def _memory(sized: Sized) -> list[str]:
    model, needed = sized.model, sized.memory
    if not model or not needed:
        return ["Memory: unknown, since no model file of the engine llama is here to read it from.", ""]
    setting = -(-needed.keys_and_values // MEGABYTE)
    each = f"{model.context} tokens x {model.token:g} bytes"
    parts = f"model {describe_size(needed.model)}, keys and values {describe_size(needed.keys_and_values)}"
    return [
        f"Memory of a replica: {describe_size(needed.each)}: {parts}",
        f"  ({needed.people} typing x {each}: set c.Turbopilot.sequences_memory = {setting}).",
        f"Of all: {needed.all / 1e9:.1f} GB. Replicas on one machine share the file of the model in memory.",
        "",
    ]


_DEPENDS = """\
The seconds a request depend on the load: texts that are written together share steps, and notebooks that
find no room are read again."""


def _load(sized: Sized) -> list[str]:
    """Say how the seconds depend on the load, which decides what they are worth elsewhere."""
    lines = [
        f"{run.people} typing here for {run.seconds:.0f} s: {run.requests} requests, "
        f"{run.seconds_per_request:.3g} s each, busy for {run.utilisation:.2f} of the time."
        for run in sized.runs
    ]
    lines.append(_DEPENDS)
    if sized.runs:
        demand = sized.demand
        lines.append(
            "To compute again without measuring: "
            f"--requests-per-second {demand.requests_per_second:.3g} --seconds-per-request "
            f"{demand.seconds_per_request:.3g}"
        )
    return lines
