"""Replicas under Ray Serve: `serve run turbopilot_service.replica:app model=qwen2.5-coder-0.5b`.

Each replica has its own model and serves Turbopilot's routes. Requests with the same `x-session-id` go to the
same replica, which has evaluated that notebook already.
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

from jupyter_turbopilot.engine.base import SLOTS
from jupyter_turbopilot.jupyter.identity import KeyIdentity
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.jupyter.standalone import application, checked, refuse_usage_log
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.settings.config import Turbopilot
from turbopilot_service.asgi import Mounted, Unanswered

KEY = "TURBOPILOT_API_KEY"
ANY_HOST = "replica"  # not a loopback name: clients use the proxy's host names
# A replica has no interactive user, and shares the models folder with others.
DEFAULTS = {
    "yield_cpu": False,
    "idle_minutes": 0.0,
    "keep_sequences": False,
    "separate_caches": True,
    "cache_file": "",
}
POLL_SECONDS = 0.1  # seconds between two checks of a loading model


@serve.deployment(
    name="turbopilot",
    ray_actor_options={"num_cpus": 2},
    max_ongoing_requests=SLOTS,
    max_queued_requests=4 * SLOTS,
    backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
    request_router_config=RequestRouterConfig(request_router_class=ConsistentHashRouter),
    # Adding or removing a replica moves sessions, whose notebooks are then evaluated again. Scale up when
    # half of the slots are taken, because requests already queue then.
    autoscaling_config=AutoscalingConfig(
        min_replicas=1,
        max_replicas=4,
        target_ongoing_requests=SLOTS / 2,
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
    """One engine and its HTTP application."""

    def __init__(self, traits: dict[str, Any]) -> None:
        self._key = key()
        settings = Turbopilot(**DEFAULTS | traits)
        refuse_usage_log(settings, "a service for several users cannot ask each of them for consent")
        # Ray does not limit a replica to its cores: using more slows down other replicas.
        settings.threads = settings.threads or int(_cores())
        self._pilot = Pilot(settings, has_owner=False)
        fetch(self._pilot)
        self._pilot.start()
        while self._pilot.worker.state.phase == "loading":
            time.sleep(POLL_SECONDS)
        self.check_health()

    def __serve_build_asgi_app__(self) -> Mounted:
        """Return the ASGI application."""
        return Mounted(application(self._pilot, KeyIdentity(self._key, ANY_HOST)))

    def check_health(self) -> None:
        """Raise an error if the engine failed: Ray then replaces this replica."""
        worker = self._pilot.worker
        state = worker.state
        if not ((state.ready or state.phase == "loading") and worker.alive()):
            raise RuntimeError(state.reason or f"The engine of this replica is {state.phase}.")

    def __del__(self) -> None:
        """Stop the engine after finishing its requests; the constructor may have failed."""
        if hasattr(self, "_pilot"):
            self._pilot.stop()


def key() -> str:
    """Return the clients' key from the node's environment: configuration files are less private."""
    if not (found := os.environ.get(KEY, "")):
        raise BadRequestError(
            f"Set {KEY} in the environment of every Ray node. Clients send it as their key."
        )
    return checked(found)


def fetch(pilot: Pilot) -> None:
    """Download the model to this node; the first replica downloads it while the others wait."""
    model = pilot.kind.find(pilot.selected)
    stored = pilot.kind.stored(model)
    if stored is None or stored.damaged:
        pilot.kind.obtain(model)


def _cores() -> float:
    """Return the number of cores that Ray assigns to this replica."""
    assigned = ray.get_runtime_context().get_assigned_resources()
    return max(1.0, float(assigned.get("CPU", 1.0)))


def middlewares() -> list[Middleware]:
    """Return middleware for proxies: set RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH to it on every node."""
    return [Middleware(Unanswered)]


def app(arguments: dict[str, Any]) -> Any:
    """Build the application. Arguments are settings of `c.Turbopilot`, such as `Turbopilot.model`."""
    known = Turbopilot.class_traits(config=True)
    if unknown := sorted(set(arguments) - set(known)):
        raise BadRequestError(
            f"Unknown settings: {', '.join(unknown)}. See the Settings page of the documentation."
        )
    traits = {
        name: known[name].from_string(value) if isinstance(value, str) else value
        for name, value in arguments.items()
    }
    Turbopilot(**traits)  # report invalid values here, not in a replica that fails to start
    return Replica.bind(traits)  # type: ignore[attr-defined]  # a deployment by now
