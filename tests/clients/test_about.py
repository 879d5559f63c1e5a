"""Metrics in Prometheus' format, and every route against its OpenAPI description."""

import json

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from prometheus_client.parser import text_string_to_metric_families

from jupyter_turbopilot.jupyter.routes.openapi import document
from jupyter_turbopilot.jupyter.routes.table import loaded

from ..serving import Server

# Selecting a model would replace the one that other tests use.
CHANGE = {"/models", "/models/pull"}


def samples(server: Server) -> dict[tuple[str, frozenset[str]], float]:
    text = server.client.get("/metrics").text
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_count_requests_and_contain_no_text(server: Server) -> None:
    before = samples(server)
    secret = "a_users_secret_words"
    server.client.post("/v1/completions", json={"prompt": secret, "max_tokens": 3})
    server.client.post("/v1/completions", json={"prompt": secret, "max_tokens": 10**6})
    asked = {"cells": [{"source": secret}], "offset": len(secret), "path": f"{secret}.ipynb"}
    answer = server.client.post("/complete", json=asked).json()
    server.client.post("/feedback", json={"id": answer["id"], "event": "accepted"})
    after = samples(server)

    def grown(name: str, *labels: str) -> float:
        key = name, frozenset(labels)
        return after[key] - before.get(key, 0.0)

    assert grown("turbopilot_requests_total", "completions", "completed", "") == 1
    assert grown("turbopilot_requests_total", "completions", "failed", "context_length_exceeded") == 1
    assert grown("turbopilot_requests_total", "complete", "completed", "") == 1
    assert grown("turbopilot_suggestions_total", "accepted") == 1
    assert grown("turbopilot_prompt_tokens_total", "evaluated") >= len(secret) - 1
    assert grown("turbopilot_predicted_tokens_total") >= 1
    assert after["turbopilot_ready", frozenset()] == 1
    assert after["turbopilot_memory_bytes", frozenset()] > 1e7
    assert secret not in server.client.get("/metrics").text


def test_openapi_describes_every_route_with_its_schema(server: Server) -> None:
    found = server.client.get("/openapi.json").json()
    assert found == json.loads(json.dumps(document(loaded())))
    assert len(found["paths"]) == len({path for path, _ in loaded()})
    body = found["paths"]["/infill"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    name = body["$ref"].rpartition("/")[2]
    assert found["components"]["schemas"][name]["required"] == ["input_prefix", "input_suffix"]


schema = schemathesis.openapi.from_dict(document(loaded()))


@schema.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_routes_survive_any_body(case: schemathesis.Case, server: Server, expendable: Server) -> None:
    server = expendable if case.operation.path in CHANGE else server
    if isinstance(case.body, dict):
        # An unlimited number of tokens takes seconds to generate: -1, null, or no limit at all.
        for name in ("max_tokens", "n_predict"):
            limit = case.body.get(name, -1)
            if limit is None or limit == -1 or (isinstance(limit, int) and limit > 8):
                case.body[name] = 8
        if case.operation.path.endswith("helpers"):
            case.body |= {"max_tokens": 8, "seconds": 1}
        parameters = case.body.get("parameters")
        if isinstance(parameters, dict) and isinstance(parameters.get("max_new_tokens", 0), int):
            parameters["max_new_tokens"] = min(parameters.get("max_new_tokens", 8), 8)
    response = case.call(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}, timeout=60)
    assert response.status_code < 500 or response.status_code == 503, (case.as_curl_command(), response.text)
