"""`jupyter turbopilot size`: estimate the number of replicas from measurements and stated assumptions."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.plugins.evaluate.sizing import BUSIEST
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.terminal.commands.command import Command, add_model_and_engine
from jupyter_turbopilot.terminal.numbers import positive, whole
from jupyter_turbopilot.util.files import MEGABYTE, count_of, describe_size

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.plugins.evaluate.crowd import Measured
    from jupyter_turbopilot.plugins.evaluate.sizing import Demand, MemoryNeeded, ModelMemory
    from jupyter_turbopilot.settings.config import Turbopilot

MAX_USERS = 10_000_000


@dataclass(frozen=True)
class Options:
    """The users to serve, and known or assumed values."""

    users: int
    typing_share: float
    utilisation: float
    requests_per_second: float | None
    seconds_per_request: float | None
    from_metrics: list[str] | None
    metrics_users: int
    notebooks: Path | None
    key_interval: int
    seconds: int
    json: bool


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--users", type=whole(1, MAX_USERS), required=True, metavar="N", help="number of users"
    )
    parser.add_argument(
        "--typing-share",
        type=positive(1.0),
        default=0.3,
        metavar="A",
        help="share of users that type at the same time (%(default)s, an assumption)",
    )
    parser.add_argument(
        "--utilisation",
        type=positive(BUSIEST),
        default=BUSIEST,
        metavar="PART",
        help="maximum utilisation of a replica; up to %(default)s, users rarely wait (%(default)s)",
    )
    parser.add_argument(
        "--requests-per-second",
        type=positive(100.0),
        metavar="R",
        help="requests per second and typing user that reach the model; default: measured",
    )
    parser.add_argument(
        "--seconds-per-request",
        type=positive(600.0),
        metavar="S",
        help="seconds of a replica per request, under load; default: measured",
    )
    parser.add_argument(
        "--from-metrics",
        nargs="+",
        metavar="SOURCE",
        help="compute the requests per second from a running server's metrics: a URL or a file, and maybe a "
        "file with earlier metrics",
    )
    parser.add_argument(
        "--metrics-users",
        type=whole(1, MAX_USERS),
        default=1,
        metavar="N",
        help="number of users of that server, typing or not (%(default)s)",
    )
    parser.add_argument(
        "--notebooks",
        type=Path,
        metavar="FOLDER",
        help="notebooks to replay while measuring; default: functions of Python's standard library",
    )
    parser.add_argument(
        "--key-interval",
        type=whole(20, 60_000),
        default=200,
        metavar="MS",
        help="time between two keystrokes while measuring, in milliseconds (%(default)s)",
    )
    parser.add_argument(
        "--seconds",
        type=whole(1, 3600),
        default=40,
        metavar="N",
        help="duration of each measurement: one user, then as many as reach --utilisation (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    add_model_and_engine(parser)


def run(options: Options, settings: Turbopilot) -> int:
    """Measure missing values, compute the replicas, and print the result with its assumptions."""
    from jupyter_turbopilot.plugins.evaluate import size_sources as sources
    from jupyter_turbopilot.plugins.evaluate.sizing import Demand, memory_needed

    if options.from_metrics and options.requests_per_second:
        raise BadRequestError(
            "Use either --from-metrics or --requests-per-second, not both.", field="from_metrics"
        )
    rate = sources.rate(options)
    seconds = Figure(options.seconds_per_request, "given") if options.seconds_per_request else None
    runs: list[Measured] = []
    if not (rate and seconds):
        runs = sources.measure(options, settings)
        loaded = runs[-1]
        how = f"measured here, {loaded.users} users typing at once, {options.key_interval} ms per keystroke"
        rate = rate or Figure(loaded.requests_per_second, how)
        seconds = seconds or Figure(loaded.seconds_per_request, how)
    demand = Demand(options.users, options.typing_share, rate.value, seconds.value)
    replicas = demand.replicas(options.utilisation)
    model = sources.model_memory(settings)
    memory = memory_needed(demand, replicas, model) if model else None
    sized = SizingResult(
        demand, options.utilisation, replicas, rate.how, seconds.how, tuple(runs), model, memory
    )
    if options.json:
        print(json.dumps(as_json(sized), indent=1))
    else:
        print(summary(sized))
    return 0


class Figure(NamedTuple):
    """A number and its origin."""

    value: float
    how: str


@dataclass(frozen=True)
class SizingResult:
    """The result, and the values it is based on."""

    demand: Demand
    utilisation: float
    replicas: int
    rate: str  # the origin of the requests per second
    seconds: str  # the origin of the seconds per request
    runs: tuple[Measured, ...]
    model: ModelMemory | None
    memory: MemoryNeeded | None


def as_json(sized: SizingResult) -> dict[str, Any]:
    """Return the result as JSON values."""
    demand = sized.demand
    memory = sized.memory
    return {
        "replicas": sized.replicas,
        "exactly": demand.exactly(sized.utilisation),
        "users": demand.users,
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


def summary(sized: SizingResult) -> str:
    """Format the result for the terminal."""
    demand = sized.demand
    rows = [
        ("users", f"{demand.users}", "given"),
        ("share typing at once", f"{demand.typing_share:g}", "assumed; set --typing-share to your value"),
        ("requests per second and typing user", f"{demand.requests_per_second:.3g}", sized.rate),
        ("replica seconds per request", f"{demand.seconds_per_request:.3g}", sized.seconds),
        ("utilisation of a replica", f"{sized.utilisation:g}", "at most"),
    ]
    head = (
        f"{count_of(sized.replicas, 'replica')}: {demand.users} users x {demand.typing_share:g} typing x "
        f"{demand.requests_per_second:.3g} requests/s x {demand.seconds_per_request:.3g} s "
        f"/ {sized.utilisation:g} = {demand.exactly(sized.utilisation):.4g}"
    )
    return "\n".join(
        [
            head,
            "",
            *(f"  {name:<36}{value:<8}{how}" for name, value, how in rows),
            "",
            *_memory_lines(sized),
            *_measurement_lines(sized),
            "A replica is a server on a machine like this one, with the same number of threads.",
        ]
    )


def _memory_lines(sized: SizingResult) -> list[str]:
    model, needed = sized.model, sized.memory
    if not model or not needed:
        return ["Memory: unknown, because there is no local model file of the engine llama.", ""]
    setting = -(-needed.keys_and_values // MEGABYTE)
    each = f"{model.context} tokens x {model.token:g} bytes"
    parts = f"model {describe_size(needed.model)}, KV cache {describe_size(needed.keys_and_values)}"
    return [
        f"Memory per replica: {describe_size(needed.each)} ({parts})",
        f"  ({needed.users} typing users x {each}: set c.Turbopilot.sequences_memory = {setting}).",
        f"In total: {needed.all / 1e9:.1f} GB. Replicas on one machine share the memory of the model file.",
        "",
    ]


_DEPENDS = """\
The seconds per request depend on the load: concurrent sequences share decoding steps, and notebooks that
do not fit into the cache are evaluated again."""


def _measurement_lines(sized: SizingResult) -> list[str]:
    """Describe the measurements, and how the seconds per request depend on the load."""
    lines = [
        f"{run.users} users typing here for {run.seconds:.0f} s: {run.requests} requests, "
        f"{run.seconds_per_request:.3g} s each, busy for {run.utilisation:.2f} of the time. "
        f"At the beginning of a line, 95 % were answered within {run.wait:.2g} s."
        for run in sized.runs
    ]
    lines.append(_DEPENDS)
    if sized.runs:
        demand = sized.demand
        lines.append(
            "To repeat without measuring: "
            f"--requests-per-second {demand.requests_per_second:.3g} --seconds-per-request "
            f"{demand.seconds_per_request:.3g}"
        )
    return lines


COMMAND = Command("size", "estimate how many replicas some users need", Options, run, declare)
