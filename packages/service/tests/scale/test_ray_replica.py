"""The configuration of Ray, in Ray's environment if it is installed."""

import os
import subprocess

import pytest

from .fleet import ENVIRONMENTS, PACKAGE, ROOT

BUILD = """
import json
from turbopilot_service.replica import Replica, app
options = Replica._deployment_config
router = options.request_router_config.request_router_class
print(json.dumps([
    app({"model": "x.gguf", "context_size": "512", "kernel_context": "false"})._bound_deployment.init_args[0],
    options.max_ongoing_requests, options.max_queued_requests > 0,
    options.backpressure_config.status_code, options.backpressure_config.retry_after_s > 0,
    options.autoscaling_config.min_replicas, router if isinstance(router, str) else router.__name__,
]))
"""
VALIDATE = """
import sys, yaml
from ray.serve.schema import ServeDeploySchema
plain = yaml.safe_load(open("deploy/serve.yaml"))
inside = next(yaml.safe_load_all(open("deploy/rayservice.yaml")))["spec"]["serveConfigV2"]
for config in (plain, yaml.safe_load(inside)):
    (application,) = ServeDeploySchema.model_validate(config).applications
    (deployment,) = application.deployments
    print(application.import_path, deployment.name)
"""


def run_in_ray(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ENVIRONMENTS / "ray" / "bin" / "python", "-c", program],
        cwd=PACKAGE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(PACKAGE)))} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_tested_ray_version_is_the_pinned_one() -> None:
    from importlib.metadata import PackageNotFoundError, version

    with pytest.raises(PackageNotFoundError):
        version("ray")  # here, because the project does not require Ray
    assert run_in_ray("import ray; print(ray.__version__)").stdout.startswith("2.60.")


def test_deployment_is_bounded_and_routes_by_session() -> None:
    done = run_in_ray(BUILD)
    expected = '[{"model": "x.gguf", "context_size": 512, "kernel_context": false}, 8, true, 429, true, 1, '
    assert done.stdout.startswith(expected), done.stderr
    assert "ConsistentHashRouter" in done.stdout


@pytest.mark.parametrize(
    ("call", "word"),
    [
        ("app({'modle': 'x'})", "modle"),
        ("key()", "TURBOPILOT_API_KEY"),
        ("app({'engine': 'nothing'})", "nothing"),
    ],
)
def test_invalid_settings_are_reported_before_the_start(call: str, word: str) -> None:
    program = f"from turbopilot_service.replica import app, key\n{call}"
    done = run_in_ray(program, TURBOPILOT_API_KEY="")
    assert done.returncode
    assert word in done.stderr.splitlines()[-1]


def test_examples_are_valid_for_ray() -> None:
    done = run_in_ray(VALIDATE)
    assert done.stdout.splitlines() == ["turbopilot_service.replica:app turbopilot"] * 2, done.stderr
