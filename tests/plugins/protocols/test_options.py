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
        ("prompt", [1, *["a"] * 100_000]),
        ("prompt", ["a"] * 100_000),
    ],
)
def test_oversized_fields_are_rejected_by_name(field: str, value: Any) -> None:
    with pytest.raises(BadRequestError) as refused:
        read_body(body(**{field: value}), CompletionBody).texts()
    assert str(refused.value.field).startswith(field)
    assert len(refused.value.message) < 500


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
