import json
from typing import Any

import pytest

from jupyter_turbopilot.plugins.protocols.body import read_body
from jupyter_turbopilot.plugins.protocols.openai_completions import CompletionsBody
from jupyter_turbopilot.plugins.protocols.options import CompletionBody
from jupyter_turbopilot.protocol.errors import BadRequestError


def encoded(**fields: Any) -> bytes:
    return json.dumps({"prompt": "x"} | fields).encode()


@pytest.mark.parametrize("number", [b"1e999", b"1" * 65])
def test_read_body_names_the_field_of_a_number_out_of_range(number: bytes) -> None:
    with pytest.raises(BadRequestError) as error:
        read_body(b'{"prompt": "x", "temperature": ' + number + b"}", CompletionBody)
    assert error.value.field == "temperature"


def test_read_body_drops_zero_fractions_and_keeps_other_values() -> None:
    request = read_body(encoded(n_predict=8.0, seed=2**53 + 1, temperature=0.5, top_k=4e1), CompletionBody)
    assert (request.n_predict, request.seed, request.temperature, request.top_k) == (8, 2**53 + 1, 0.5, 40)
    with pytest.raises(BadRequestError):
        read_body(encoded(n_predict=8.5), CompletionBody)
    for digits in (b"1" * 5000, b"8." + b"0" * 5000, b"-0." + b"0" * 5000 + b"e1"):
        with pytest.raises(BadRequestError, match="64 characters"):
            read_body(b'{"prompt": "x", "n_predict": ' + digits + b"}", CompletionBody)


def test_read_body_names_an_invalid_field_as_sent() -> None:
    for kind in (CompletionBody, CompletionsBody):
        for name in ("max_tokens", "n_predict"):
            with pytest.raises(BadRequestError) as refused:
                read_body(encoded(**{name: -7}), kind)
            assert refused.value.field == name


def test_read_body_prefers_the_canonical_name_to_aliases() -> None:
    assert read_body(encoded(max_tokens=5), CompletionBody).n_predict == 5
    assert read_body(encoded(max_tokens=5, n_predict=7), CompletionBody).n_predict == 7
    assert read_body(encoded(max_tokens=5, n_predict=None), CompletionBody).n_predict == 5
