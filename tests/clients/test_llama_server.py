"""The protocol of llama.cpp's server, against a real server."""

from typing import Any

import pytest

from ..serving import Server

WRITE = {"n_predict": 3, "temperature": 0, "ignore_eos": True}


def ask(server: Server, path: str = "/completion", **body: Any) -> Any:
    response = server.client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def refused(server: Server, path: str = "/completion", **body: Any) -> str:
    response = server.client.post(path, json={"prompt": "x", "n_predict": 1} | body)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    return str(error.get("field") or error["param"])


def test_prompt_may_be_text_ids_or_a_mix(server: Server) -> None:
    ids = ask(server, "/tokenize", content="x = 1")["tokens"]
    for prompt in (ids, ["x = 1"]):
        assert (
            ask(server, prompt=prompt, **WRITE)["content"] == ask(server, prompt="x = 1", **WRITE)["content"]
        )
    mixed = [*ids[:2], "= 1"]
    assert ask(server, prompt=mixed, **WRITE)["content"] == ask(server, prompt="x = 1", **WRITE)["content"]


def test_several_prompts_and_n_cmpl_return_a_list(server: Server) -> None:
    found = ask(server, prompt=["x = ", [65, 66], "y"], n_cmpl=2, **WRITE)
    assert [one["index"] for one in found] == list(range(6))
    assert found[4]["content"] == ask(server, prompt="y", **WRITE)["content"]
    assert all(one["tokens_predicted"] == 3 for one in found)


def test_null_is_the_default_and_8_0_is_8(server: Server) -> None:
    nulls = dict.fromkeys(
        (
            "stop",
            "grammar",
            "seed",
            "samplers",
            "json_schema",
            "response_format",
            "logit_bias",
            "n_probs",
            "top_p",
        )
    )
    assert (
        ask(server, prompt="x", **nulls | WRITE | {"n_predict": 3.0, "top_k": 8.0})["tokens_predicted"] == 3
    )


def test_out_of_range_values_are_clamped(server: Server) -> None:
    found = ask(server, prompt="x", n_predict=2, top_p=1.5, min_p=-3, top_k=-1, temperature=-2)
    reported = found["generation_settings"]
    assert (reported["top_p"], reported["min_p"], reported["top_k"], reported["temperature"]) == (
        1.0,
        0.0,
        0,
        0.0,
    )


@pytest.mark.parametrize("path", ["/completion", "/v1/completions"])
def test_unlimited_completion_ends_at_eos_or_context_size(server: Server, path: str) -> None:
    body = {"prompt": "x" * 900, "max_tokens": -1, "temperature": 0, "ignore_eos": True}
    found = ask(server, path, **body)
    if path == "/completion":
        assert (found["tokens_predicted"], found["stop_type"]) == (124, "limit")
    else:
        assert found["choices"][0]["finish_reason"] == "length"
        assert found["usage"]["completion_tokens"] == 124


def test_post_sampling_probs_returns_probabilities(server: Server) -> None:
    body = {"prompt": "x", "n_predict": 4, "n_probs": 5, "post_sampling_probs": True, "ignore_eos": True}
    for token in ask(server, **body, temperature=1.0, top_k=3)["completion_probabilities"]:
        chances = [one["prob"] for one in token["top_probs"]]
        assert chances == sorted(chances, reverse=True)
        assert len(chances) <= 3
        assert sum(chances) == pytest.approx(1.0, abs=1e-4)
        assert token["prob"] == pytest.approx(
            {one["id"]: one["prob"] for one in token["top_probs"]}[token["id"]]
        )
    for token in ask(server, **body, temperature=0)["completion_probabilities"]:
        assert token["prob"] == 1.0
        assert [one["id"] for one in token["top_probs"]] == [token["id"]]


def test_text_bias_applies_to_each_of_its_tokens(server: Server) -> None:
    for bias in ([["abc", 100]], {"abc": 100.0}, [{"token": "abc", "bias": 100}]):
        assert set(ask(server, prompt="x", logit_bias=bias, **WRITE)["content"]) <= set("abc")
    likeliest = ask(server, prompt="x", return_tokens=True, **WRITE)["tokens"][0]
    never = ask(server, prompt="x", return_tokens=True, logit_bias=[[likeliest, False]], **WRITE)
    assert likeliest not in never["tokens"]
    assert (
        ask(server, "/v1/completions", prompt="x", logit_bias={"97": 100}, max_tokens=2)["choices"][0]["text"]
        == "aa"
    )


@pytest.mark.parametrize(
    ("name", "value", "harmless"),
    [
        ("mirostat", 1, 0),
        ("dry_multiplier", 0.5, 0.0),
        ("xtc_probability", 0.1, 0),
        ("dynatemp_range", 1, 0),
        ("top_n_sigma", 1.0, -1.0),
        ("adaptive_target", 0.5, -1.0),
        ("min_keep", 5, 0),
        ("grammar", 'root ::= "a"', ""),
        ("json_schema", {}, None),
        ("response_format", {"type": "json_object"}, {"type": "text"}),
        ("lora", [{"id": 0, "scale": 0.5}], []),
        ("image_data", [{"id": 1}], []),
        ("return_progress", True, False),
        ("timings_per_token", True, False),
    ],
)
def test_unsupported_options_are_rejected_by_name(
    server: Server, name: str, value: Any, harmless: Any
) -> None:
    for path in ("/completion", "/v1/completions"):
        assert refused(server, path, **{name: value}) == name
        ask(server, path, prompt="x", n_predict=1, **{name: harmless})


@pytest.mark.parametrize(
    "prompt",
    [
        [],
        5,
        [[]],
        [["a", None]],
        {},
        {"prompt_string": "x"},
        [-1],
        [[2**40]],
        ["a"] * 17,
        True,
    ],
)
def test_prompt_of_another_type_is_rejected(server: Server, prompt: Any) -> None:
    if prompt == [[]]:
        ask(server, prompt=prompt, n_predict=1)
    else:
        assert refused(server, prompt=prompt).startswith("prompt")


def test_tokenize_parses_special_tokens_on_request(server: Server) -> None:
    def tokens(**more: Any) -> Any:
        return ask(server, "/tokenize", content="a<|fim_prefix|>b", **more)["tokens"]

    assert tokens() == [
        *ask(server, "/tokenize", content="a")["tokens"],
        257,
        *ask(server, "/tokenize", content="b")["tokens"],
    ]
    assert len(tokens(parse_special=False)) == len("a<|fim_prefix|>b")
    assert [one["piece"] for one in tokens(with_pieces=True)] == ["a", "<|fim_prefix|>", "b"]
    assert ask(server, "/detokenize", tokens=tokens())["content"] == "a<|fim_prefix|>b"
    assert ask(server, "/tokenize", content=["a", 257, "b"])["tokens"] == tokens()
    assert ask(server, "/tokenize") == {"tokens": []}


def test_fim_template_is_filled_in_on_every_route(server: Server) -> None:
    prompt = "<|fim_prefix|>x = <|fim_suffix|>\ny<|fim_middle|>"
    whole = ask(server, "/v1/completions", prompt="x = ", suffix="\ny", max_tokens=3, temperature=0)
    text = whole["choices"][0]["text"]
    assert ask(server, prompt=prompt, n_predict=3, temperature=0)["content"] == text
    found = ask(server, "/v1/completions", prompt=prompt, max_tokens=3, temperature=0)
    assert found["choices"][0]["text"] == text
    assert found["usage"]["prompt_tokens"] == len("x = \ny") + 3
    found = ask(server, "/api/generate", inputs=prompt, parameters={"max_new_tokens": 3})
    assert found["generated_text"] == text
