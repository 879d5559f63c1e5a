from __future__ import annotations

import json
from typing import Any

import pytest

from jupyter_turbopilot.plugins.protocols.body import read_body
from jupyter_turbopilot.plugins.protocols.openai_completions import CompletionsBody
from jupyter_turbopilot.plugins.protocols.options import MAX_BIASED_TEXT, CompletionBody
from jupyter_turbopilot.plugins.protocols.tokenization import TokenizeBody
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.protocol.request import MAX_BODY

LONG = "x" * (MAX_BODY // 2)


def body(**fields: Any) -> bytes:
    return json.dumps({"prompt": "x"} | fields).encode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("logit_bias", [[1, 1]] * 30_000),
        ("logit_bias", {f"{number:05}" + "x" * 100: 1 for number in range(1000)}),
        ("logit_bias", {"x" * (MAX_BIASED_TEXT + 1): 1}),
        ("response_fields", ["/" * len(LONG)]),
        ("samplers", LONG),
        ("samplers", [LONG]),
        ("prompt", [1] * 200_000),
        ("prompt", [[1] * 200_000]),
        ("prompt", [[1] * 30_000] * 16),
        ("prompt", {"prompt_string": [1] * 200_000}),
        ("prompt", [1, *["a"] * 100_000]),
        ("prompt", ["a"] * 100_000),
    ],
)
def test_oversized_fields_are_rejected_by_name(field: str, value: Any) -> None:
    with pytest.raises(BadRequestError) as refused:
        read_body(body(**{field: value}), CompletionBody).texts()
    assert str(refused.value.field).startswith(field)
    assert len(refused.value.message) < 500


@pytest.mark.parametrize("seed", [2**64, -(2**64), 10**60])
def test_seed_of_any_size_is_accepted(seed: int) -> None:
    assert 0 <= read_body(body(seed=seed), CompletionBody).texts()[0].sampling.seed < 2**32


@pytest.mark.parametrize("kind", [CompletionBody, CompletionsBody])
@pytest.mark.parametrize("stop", [5, {"a": 1}, [5], ["x"] * 10_000, [["x"]]])
def test_empty_or_too_many_stop_texts_are_rejected_by_name(kind: type[Any], stop: object) -> None:
    with pytest.raises(BadRequestError) as caught:
        read_body(body(stop=stop), kind)
    assert str(caught.value.field).startswith("stop")


def test_other_routes_have_the_same_bounds() -> None:
    for kind, value in (
        (CompletionsBody, {"prompt": [1] * 200_000}),
        (CompletionsBody, {"logit_bias": [[1, 1]] * 100_000}),
        (TokenizeBody, {"content": ["a"] * 200_000}),
    ):
        with pytest.raises(BadRequestError):
            read_body(body(**value), kind)


def test_settings_in_the_response_omit_long_values() -> None:
    sent = {
        "stop": ["y" * 1000] * 64,
        "logit_bias": [[1, 2.0]] * 4096,
        "response_fields": ["content"],
        "temperature": -1,
    }
    request = read_body(body(prompt=["x" * 60_000] * 16, n_cmpl=16, **sent), CompletionBody)
    reported = request.settings(request.texts()[0].sampling)
    assert (reported["temperature"], reported["n_cmpl"]) == (0.0, 16)
    assert len(json.dumps(reported)) < 2000


def test_bounds_permit_realistic_requests() -> None:
    request = read_body(
        body(
            prompt=[*range(100_000), "text"],
            logit_bias=[[100_000 + token, -100.5] for token in range(4096)],
            unknown=[[[LONG]]],
        ),
        CompletionBody,
    )
    assert len(request.texts()[0].sampling.logit_bias) == 4096
