"""`jupyter turbopilot size`: estimate the number of replicas from measurements and stated assumptions."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.engine.load.plan import Limits, fit, sizes_of, with_separate_caches
from jupyter_turbopilot.jupyter.pilot.library import store_of
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.terminal.commands.command import add_json, add_model_and_engine
from jupyter_turbopilot.terminal.numeric_options import add_number, positive, whole
from jupyter_turbopilot.util.files import MEGABYTE, count_of, describe_size

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from jupyter_turbopilot.plugins.evaluate.simulated_users import Measured
    from jupyter_turbopilot.settings.config import Turbopilot

# Up to this utilisation, 95 % of the requests at the beginning of a line are answered within a second
# (benchmarks/results/scale.md).
BUSIEST = 0.9
MAX_USERS = 10_000_000
_COMPUTED = ("requests_per_second", "seconds_per_request", "utilisation")
_DEPENDS = """\
The seconds per request depend on the load: concurrent sequences share decoding steps, and notebooks that
do not fit into the cache are evaluated again."""
_NOISE = 9  # decimals to round to: 3.0000000000000004 replicas are 3


def declare(parser: argparse.ArgumentParser) -> None:
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
    add_number(
        parser,
        "--metrics-users",
        whole(1, MAX_USERS),
        1,
        "number of users of that server, typing or not",
        metavar="N",
    )
    parser.add_argument(
        "--notebooks",
        type=Path,
        metavar="FOLDER",
        help="notebooks to replay while measuring; default: functions of Python's standard library",
    )
    add_number(
        parser,
        "--key-interval",
        whole(20, 60_000),
        200,
        "time between two keystrokes while measuring, in milliseconds",
        metavar="MS",
    )
    add_number(
        parser,
        "--seconds",
        whole(1, 3600),
        40,
        "duration of each measurement: one user, then as many as reach --utilisation",
        metavar="N",
    )
    add_json(parser)
    add_model_and_engine(parser)
    parser.set_defaults(execute=run)


def run(options: argparse.Namespace, settings: Turbopilot) -> int:
    """Measure missing values, compute the replicas, and print the result with its assumptions."""
    from jupyter_turbopilot.plugins.evaluate import server_metrics, simulated_users

    if options.from_metrics and options.requests_per_second:
        raise BadRequestError(
            "Use either --from-metrics or --requests-per-second, not both.", field="from_metrics"
        )
    rate = Figure(options.requests_per_second, "given") if options.requests_per_second else None
    if options.from_metrics:
        each = server_metrics.rate_of(options.from_metrics) / options.metrics_users
        since = (
            "between the two"
            if len(options.from_metrics) > 1
            else "on average since it started; a busy hour has more"
        )
        how = f"from metrics: {each:.3g} per second and user for {options.metrics_users} users, {since}"
        # The metrics count all users; the formula multiplies by the typing share again.
        rate = Figure(each / options.typing_share, how)
    seconds = Figure(options.seconds_per_request, "given") if options.seconds_per_request else None
    runs: list[Measured] = []
    if not (rate and seconds):
        runs = simulated_users.measure(options, settings)
        loaded = runs[-1]
        how = f"measured here, {loaded.users} users typing at once, {options.key_interval} ms per keystroke"
        rate = rate or Figure(loaded.requests_per_second, how)
        seconds = seconds or Figure(loaded.seconds_per_request, how)
    sized = Sizing(
        options.users, options.typing_share, rate, seconds, options.utilisation, runs, model_memory(settings)
    )
    print(json.dumps(as_json(sized), indent=1) if options.json else summary(sized))
    return 0


class Figure(NamedTuple):
    """A number and its origin."""

    value: float
    how: str


class ModelMemory(NamedTuple):
    """The memory of a model in bytes."""

    shared: int  # weights, shared cache cells and compute buffers
    token: float  # KV cache of one token
    context: int  # maximum tokens of a user's notebook


def model_memory(settings: Turbopilot) -> ModelMemory | None:
    """Return the memory use from the model's file, or None if there is no local file or another engine."""
    from jupyter_turbopilot.engine.llama.kind import LlamaKind

    if settings.engine != "llama":
        return None
    kind, model = LlamaKind(settings, store_of(settings)), find(settings.model)
    if not kind.store.has(model):
        return None
    path, hardware = kind.weights(model)
    header = read_header(path)
    sizes = sizes_of(header, hardware)
    # The users' sequences are added separately; the plan covers the shared compute buffers.
    plan = fit(sizes, model.name, Limits(context_size=settings.context_size), machine.UNLIMITED)
    plan = with_separate_caches(plan, sizes)
    return ModelMemory(header.file_size + plan.needs - sizes.weights, sizes.token, plan.context_size)


class Memory(NamedTuple):
    """The memory of one replica, and of all replicas, in bytes."""

    model: int
    keys_and_values: int  # of the users that type at the same replica
    users: int  # the number of these users
    replicas: int
    each: int
    all: int  # without sharing the model


@dataclass(frozen=True)
class Sizing:
    """The load of all users, the origin of its values, and what it needs."""

    users: int
    typing_share: float  # share of users that type at the same time
    rate: Figure  # requests per second and typing user that reach an engine
    seconds: Figure  # of one replica per request
    utilisation: float  # maximum of a replica
    runs: Sequence[Measured] = ()
    model: ModelMemory | None = None

    @property
    def exactly(self) -> float:
        """The fractional number of replicas."""
        busy = self.users * self.typing_share * self.rate.value * self.seconds.value
        return round(busy / self.utilisation, _NOISE)

    @property
    def replicas(self) -> int:
        """The number of replicas so that none exceeds the utilisation."""
        return max(1, math.ceil(self.exactly))

    @property
    def memory(self) -> Memory | None:
        """The memory with which users do not evict each other's cached prompts."""
        if not self.model:
            return None
        users = max(1, math.ceil(round(self.users * self.typing_share / self.replicas, _NOISE)))
        cache = users * math.ceil(self.model.token * self.model.context)
        each = self.model.shared + cache
        return Memory(self.model.shared, cache, users, self.replicas, each, each * self.replicas)


def as_json(sized: Sizing) -> dict[str, Any]:
    """Return the result as JSON values."""
    return {
        "replicas": sized.replicas,
        "exactly": sized.exactly,
        "users": sized.users,
        "typing_share": {"value": sized.typing_share, "how": "assumed"},
        "requests_per_second": sized.rate._asdict(),
        "seconds_per_request": sized.seconds._asdict(),
        "utilisation": sized.utilisation,
        "runs": [asdict(run) | {name: getattr(run, name) for name in _COMPUTED} for run in sized.runs],
        "memory": sized.memory._asdict() if sized.memory else None,
    }


def summary(sized: Sizing) -> str:
    """Format the result for the terminal."""
    rate, seconds = f"{sized.rate.value:.3g}", f"{sized.seconds.value:.3g}"
    share, most = f"{sized.typing_share:g}", f"{sized.utilisation:g}"
    rows = [
        ("users", f"{sized.users}", "given"),
        ("share typing at once", share, "assumed; set --typing-share to your value"),
        ("requests per second and typing user", rate, sized.rate.how),
        ("replica seconds per request", seconds, sized.seconds.how),
        ("utilisation of a replica", most, "at most"),
    ]
    formula = f"{sized.users} users x {share} typing x {rate} requests/s x {seconds} s / {most}"
    lines = [
        f"{count_of(sized.replicas, 'replica')}: {formula} = {sized.exactly:.4g}",
        "",
        *(f"  {name:<36}{value:<8}{how}" for name, value, how in rows),
        "",
    ]
    if sized.model and (needed := sized.memory):
        setting = -(-needed.keys_and_values // MEGABYTE)
        each = f"{sized.model.context} tokens x {sized.model.token:g} bytes"
        parts = f"model {describe_size(needed.model)}, KV cache {describe_size(needed.keys_and_values)}"
        total = f"In total: {needed.all / 1e9:.1f} GB."
        lines += [
            f"Memory per replica: {describe_size(needed.each)} ({parts})",
            f"  ({needed.users} typing users x {each}: set c.Turbopilot.sequences_memory = {setting}).",
            f"{total} Replicas on one machine share the memory of the model file.",
        ]
    else:
        lines.append("Memory: unknown, because there is no local model file of the engine llama.")
    lines.append("")
    lines += (
        f"{run.users} users typing here for {run.seconds:.0f} s: {run.requests} requests, "
        f"{run.seconds_per_request:.3g} s each, busy for {run.utilisation:.2f} of the time. "
        f"At the beginning of a line, 95 % were answered within {run.wait:.2g} s."
        for run in sized.runs
    )
    lines.append(_DEPENDS)
    if sized.runs:
        lines.append(
            f"To repeat without measuring: --requests-per-second {rate} --seconds-per-request {seconds}"
        )
    lines.append("A replica is a server on a machine like this one, with the same number of threads.")
    return "\n".join(lines)
