from __future__ import annotations

import json
from typing import Any

import pytest

from jupyter_turbopilot.plugins.protocols.body import read_body
from jupyter_turbopilot.plugins.protocols.openai_completions import CompletionsBody
from jupyter_turbopilot.protocol.errors import BadRequestError


def asked(**fields: Any) -> CompletionsBody:
    return read_body(json.dumps({"prompt": "x"} | fields).encode(), CompletionsBody)


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", ["a"]),
        ("<|endoftext|>", [""]),
        ([1, 2], [(1, 2)]),
        (["a", "b"], ["a", "b"]),
        ([[1], [2, 3]], [(1,), (2, 3)]),
    ],
)
def test_prompt_is_a_text_ids_or_a_list_of_one_kind(prompt: Any, prompts: list[Any]) -> None:
    texts = asked(prompt=prompt).texts()
    assert [text.prompt for text in texts] == prompts
    assert {text.bulk for text in texts} == {len(prompts) > 1}


@pytest.mark.parametrize("prompt", [[], [1, "a"], ["a", [1]], ["a"] * 17])
def test_mixed_or_too_many_prompts_are_rejected_by_name(prompt: Any) -> None:
    with pytest.raises(BadRequestError) as refused:
        asked(prompt=prompt).texts()
    assert refused.value.field == "prompt"


@pytest.mark.parametrize("fields", [{"n": 3, "best_of": 2}, {"n": 1, "best_of": 2, "stream": True}])
def test_best_of_must_be_at_least_n_and_cannot_stream(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError) as refused:
        asked(**fields).texts()
    assert refused.value.field == "best_of"


@pytest.mark.parametrize(
    ("fields", "length"),
    [({}, 16), ({"max_tokens": 5}, 5), ({"max_tokens": 5, "n_predict": 7}, 7), ({"max_tokens": None}, 16)],
)
def test_max_tokens_and_n_predict_limit_the_length(fields: dict[str, Any], length: int) -> None:
    assert asked(**fields).texts()[0].sampling.max_tokens == length


def test_llama_cpp_options_are_accepted() -> None:
    fields = {"samplers": "kp", "repeat_last_n": 8, "post_sampling_probs": True, "cache_prompt": False}
    sampling = asked(**fields).texts()[0].sampling
    assert (sampling.samplers, sampling.penalty_last_n) == (("top_k", "top_p"), 8)
    assert (sampling.drawn, sampling.cached) == (True, False)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"prompt": "x"}, "prompt"),
        ({"prompt": ["x"]}, "prompt"),
        ({"prompt": [[1], [2]]}, "prompt"),
        ({"prompt": [1], "suffix": "y"}, "suffix"),
    ],
)
def test_turbopilot_field_requires_one_prompt_of_ids(fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        asked(turbopilot={}, **fields).texts()
    assert refused.value.field == wrong
    (text,) = asked(turbopilot={}, prompt=[[1, 2]]).texts()
    assert text.exact
    assert text.prompt == (1, 2)
