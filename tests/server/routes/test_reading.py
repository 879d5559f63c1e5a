from __future__ import annotations

import json
from typing import Any

import pytest

from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.server.routes import reading
from jupyter_turbopilot.server.routes.openai_completions import CompletionsBody
from jupyter_turbopilot.server.routes.options import CompletionBody
from jupyter_turbopilot.server.routes.reading import read


def body(**fields: Any) -> bytes:
    return json.dumps({"prompt": "x"} | fields).encode()


def test_fields_that_nobody_knows_are_never_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = reading._whole
    seen: list[bytes] = []
    monkeypatch.setattr(reading, "_whole", lambda name, value: seen.append(value) or whole(name, value))
    found = read(body(**{f"x{number}": 1 for number in range(60_000)}, seed=5.0), CompletionBody)
    assert found.seed == 5
    assert seen == [b'"x"', b"5.0"]


@pytest.mark.parametrize("number", [b"1e999", b"1" * 65])
def test_read_names_the_field_of_a_number_out_of_range(number: bytes) -> None:
    with pytest.raises(BadRequestError) as error:
        read(b'{"prompt": "x", "temperature": ' + number + b"}", CompletionBody)
    assert error.value.field == "temperature"


def test_of_a_field_that_is_sent_twice_the_last_counts() -> None:
    assert read(b'{"prompt": "a", "seed": 1, "prompt": "b", "seed": 2}', CompletionBody).prompt == "b"


def test_a_number_without_a_fraction_is_whole_and_others_stay_as_they_are() -> None:
    request = read(body(n_predict=8.0, seed=2**53 + 1, temperature=0.5, top_k=4e1), CompletionBody)
    assert (request.n_predict, request.seed, request.temperature, request.top_k) == (8, 2**53 + 1, 0.5, 40)
    with pytest.raises(BadRequestError):
        read(body(n_predict=8.5), CompletionBody)
    for digits in (b"1" * 5000, b"8." + b"0" * 5000, b"-0." + b"0" * 5000 + b"e1"):
        with pytest.raises(BadRequestError, match="64 characters"):
            read(b'{"prompt": "x", "n_predict": ' + digits + b"}", CompletionBody)


def test_a_field_that_is_wrong_is_named_as_it_was_sent() -> None:
    for kind in (CompletionBody, CompletionsBody):
        for name in ("max_tokens", "n_predict"):
            with pytest.raises(BadRequestError) as refused:
                read(body(**{name: -7}), kind)
            assert refused.value.field == name


def test_a_fields_own_name_goes_before_its_aliases() -> None:
    assert read(body(max_tokens=5), CompletionBody).n_predict == 5
    assert read(body(max_tokens=5, n_predict=7), CompletionBody).n_predict == 7
    assert read(body(max_tokens=5, n_predict=None), CompletionBody).n_predict == 5
