"""Replicas under Ray Serve: `serve run jupyter_turbopilot.deploy.ray:app model=qwen2.5-coder-0.5b`.

Each holds a model of its own and answers with our own server's routes. Requests that carry the same
`x-session-id` go to the same replica, which has read that notebook already.
"""

from __future__ import annotations

import os
import time
from typing import Any

import ray
from ray import serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig, RequestRouterConfig
from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter
from starlette.middleware import Middleware

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.engine.base import PLACES
from jupyter_turbopilot.engine.lifecycle import Phase, not_ready
from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.pilot.pilot import Pilot
from jupyter_turbopilot.server.asgi import Mounted, Unanswered
from jupyter_turbopilot.server.identity import KeyIdentity
from jupyter_turbopilot.server.standalone import application, checked, refuse_study

KEY = "TURBOPILOT_API_KEY"
ANY_HOST = "replica"  # a name that is not this machine's own: callers come by whatever name the proxy has
# A replica is no person's machine and has a folder of models in common with others.
OWN = {
    "considerate": False,
    "idle_minutes": 0.0,
    "keep_sequences": False,
    "learning": False,
    "results_file": "",
}
LOOKS = 0.1  # seconds between looks at a model that is being loaded


@serve.deployment(
    name="turbopilot",
    ray_actor_options={"num_cpus": 2},
    max_ongoing_requests=PLACES,
    max_queued_requests=4 * PLACES,
    backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
    request_router_config=RequestRouterConfig(request_router_class=ConsistentHashRouter),
    # A replica more moves sessions to it, whose notebooks are read again; one fewer does so too. Half of the
    # places taken is a replica that is waited for already.
    autoscaling_config=AutoscalingConfig(
        min_replicas=1,
        max_replicas=4,
        target_ongoing_requests=PLACES / 2,
        upscale_delay_s=5,
        downscale_delay_s=600,
    ),
    graceful_shutdown_wait_loop_s=0.5,
    graceful_shutdown_timeout_s=30,
    health_check_period_s=2,
    health_check_timeout_s=5,
)
@serve.ingress()
class Replica:
    """One engine, and what answers for it."""

    def __init__(self, traits: dict[str, Any]) -> None:
        self._key = key()
        settings = Turbopilot(**OWN | traits)
        refuse_study(settings, "a service for several people cannot ask each of them")
        # Ray counts cores but gives none to anybody: who uses more than its own slows its neighbours.
        settings.threads = settings.threads or int(_cores())
        self._pilot = Pilot(settings)
        fetch(self._pilot)
        self._pilot.start()
        while self._pilot.worker.state.phase is Phase.LOADING:
            time.sleep(LOOKS)
        self.check_health()

    def __serve_build_asgi_app__(self) -> Mounted:
        """Return what answers."""
        return Mounted(application(self._pilot, KeyIdentity(self._key, ANY_HOST)))

    def check_health(self) -> None:
        """Fail where the engine has: Ray then starts another replica in its place."""
        worker = self._pilot.worker
        working = worker.state.ready or worker.state.phase is Phase.LOADING
        if not (working and worker.alive()):
            raise RuntimeError(not_ready(worker.state).message)

    def __del__(self) -> None:
        """End the engine, once what was being answered is; the constructor may have failed."""
        if hasattr(self, "_pilot"):
            self._pilot.stop()


def key() -> str:
    """Return the key that callers send, from the node's environment: configuration files are shown around."""
    if not (found := os.environ.get(KEY, "")):
        raise BadRequestError(
            f"Set {KEY} in the environment of every Ray node: callers send it as their key."
        )
    return checked(found)


def fetch(pilot: Pilot) -> None:
    """Have the model on this node: the first replica fetches and verifies it, others wait for that."""
    model = pilot.kind.find(pilot.selected)
    stored = pilot.kind.stored(model)
    if stored is None or stored.damaged:
        pilot.kind.obtain(model)


def _cores() -> float:
    """Return how many cores Ray counts for this replica."""
    assigned = ray.get_runtime_context().get_assigned_resources()
    return max(1.0, float(assigned.get("CPU", 1.0)))


def middlewares() -> list[Middleware]:
    """Return what the proxies add: name it in RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH on every node."""
    return [Middleware(Unanswered)]


def app(arguments: dict[str, Any]) -> Any:
    """Build the application. Arguments are settings of `c.Turbopilot`, such as `model` or `context_size`."""
    known = Turbopilot.class_traits(config=True)
    if unknown := sorted(set(arguments) - set(known)):
        raise BadRequestError(
            f"There is no setting {', '.join(unknown)}. docs/settings.md lists those that there are."
        )
    traits = {
        name: known[name].from_string(value) if isinstance(value, str) else value
        for name, value in arguments.items()
    }
    Turbopilot(**traits)  # a wrong value is told here, and not by a replica that never starts
    return Replica.bind(traits)  # type: ignore[attr-defined]  # a deployment by now
