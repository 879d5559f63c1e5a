"""Documented requests of editors, and plain curl, against a real server."""

import re

from ..serving import Server

# llama.vim's request: the window around the cursor, the line separately, limits in milliseconds.
LLAMA_VIM = {
    "id_slot": 0,
    "input_prefix": "def area(r):\n",
    "input_suffix": "\n\nprint(area(2))\n",
    "input_extra": [{"text": "import math\n", "time": [1, 2], "filename": "shapes.py"}],
    "prompt": "    return ",
    "n_predict": 24,
    "stop": [],
    "n_indent": 4,
    "top_k": 40,
    "top_p": 0.90,
    "stream": False,
    "samplers": ["top_k", "top_p", "infill"],
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 1000,
    "response_fields": [
        "content",
        "timings/prompt_n",
        "timings/prompt_ms",
        "timings/prompt_per_token_ms",
        "timings/prompt_per_second",
        "timings/predicted_n",
        "timings/predicted_ms",
        "timings/predicted_per_token_ms",
        "timings/predicted_per_second",
        "truncated",
        "tokens_cached",
    ],
}
# llama.vim first sends its extra context without generation, to prefetch it.
WARM = LLAMA_VIM | {
    "input_prefix": "",
    "input_suffix": "",
    "prompt": "",
    "n_predict": 0,
    "samplers": [],
    "t_max_prompt_ms": 1,
    "t_max_predict_ms": 1,
    "response_fields": [""],
}
# llama.vscode's request.
LLAMA_VSCODE = {
    "input_prefix": "def area(r):\n",
    "input_suffix": "\n\nprint(area(2))\n",
    "input_extra": [],
    "prompt": "    return ",
    "n_predict": 24,
    "top_k": 40,
    "top_p": 0.99,
    "stream": False,
    "n_indent": 4,
    "samplers": ["top_k", "top_p", "infill"],
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 2500,
}


# llama.vim's patterns; it drops answers that do not match.
LLAMA_VIM_KEEPS = (re.compile(rb"\s*\{"), re.compile(rb'"content"\s*:"'))
# The fields that llama.vim displays after its suggestion.
LLAMA_VIM_FIGURES = [name for name in LLAMA_VIM["response_fields"] if name.startswith("timings/")]


def test_infill_response_has_llama_vims_timings(server: Server) -> None:
    response = server.client.post("/infill", json=LLAMA_VIM)
    begins, holds = LLAMA_VIM_KEEPS
    assert begins.match(response.content)
    assert holds.search(response.content)
    assert b"\n" not in response.content  # llama.vim reads answers line by line
    assert set(response.json()) == set(LLAMA_VIM["response_fields"])
    assert all(isinstance(response.json()[name], int | float) for name in LLAMA_VIM_FIGURES)


def test_response_fields_select_nested_fields_and_skip_unknown(server: Server) -> None:
    asked = {
        "prompt": "x",
        "n_predict": 1,
        "response_fields": ["timings/prompt_n", "timings/no", "no/one", ""],
    }
    assert set(server.client.post("/completion", json=asked).json()) == {"timings/prompt_n"}


def test_prefetch_generates_nothing_and_fills_the_prompt_cache(server: Server) -> None:
    extra = [{"text": f"line_{n} = {n}\n" * 12, "filename": f"f{n}.py"} for n in range(4)]
    assert server.client.post("/infill", json=WARM | {"input_extra": extra}).json() == {}
    # All of the prompt was evaluated in spite of the limits.
    again = server.client.post("/infill", json=LLAMA_VSCODE | {"input_extra": extra}).json()
    assert again["timings"]["cache_n"] > 300
    first = server.client.post("/infill", json=WARM | {"response_fields": []}).json()
    assert (first["content"], first["tokens_predicted"]) == ("", 0)


def test_time_limit_keeps_the_evaluated_prompt_for_the_next_request(server: Server) -> None:
    asked = {"prompt": "limit = 1\n" * 90, "n_predict": 2, "ignore_eos": True, "t_max_prompt_ms": 1}
    found = [server.client.post("/completion", json=asked).json() for _ in range(16)]
    cached = [one["timings"]["cache_n"] for one in found]
    assert cached == sorted(cached)
    assert found[-1]["tokens_predicted"] == 2
    assert cached[-1] == 899


def test_infill_stops_at_a_dedented_line(server: Server) -> None:
    # The biases and the penalty make the model generate "a\na\na…".
    asked = {
        "prompt": "if x:\n    ",
        "n_predict": 20,
        "n_indent": 4,
        "temperature": 0,
        "logit_bias": [["a", 60], ["\n", 50]],
        "frequency_penalty": 20,
    }
    assert server.client.post("/completion", json=asked).json()["content"] == "a"


def test_props_slots_and_metrics_contain_no_text(server: Server) -> None:
    secret = "a_users_secret_words"
    server.client.post("/completion", json={"prompt": secret, "n_predict": 2})
    props, slots = server.client.get("/props"), server.client.get("/slots")
    assert props.json()["default_generation_settings"]["n_ctx"] > 0
    assert secret not in props.text + slots.text
    assert "/" not in props.json()["model_path"]
