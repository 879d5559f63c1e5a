"""OpenAI's own Python package against a real server."""

import math
from collections.abc import Iterator

import openai
import pytest

from ..serving import Server

ASKED = {"model": "whatever", "prompt": "def f(x):", "max_tokens": 12, "temperature": 0}


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as made:
        yield made


def test_completion_has_text_finish_reason_and_usage(client: openai.OpenAI) -> None:
    found = client.completions.create(**ASKED)
    (choice,) = found.choices
    assert found.object == "text_completion"
    assert found.model == "tiny.gguf"
    assert choice.finish_reason in {"stop", "length"}
    assert found.usage is not None
    assert found.usage.prompt_tokens == len(ASKED["prompt"])
    assert 0 < found.usage.completion_tokens <= 12
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens


def test_stream_joins_to_the_completion_and_ends_with_usage(client: openai.OpenAI) -> None:
    whole = client.completions.create(**ASKED)
    chunks = list(client.completions.create(**ASKED, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].text
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert reasons[-1] == whole.choices[0].finish_reason
    assert set(reasons[:-1]) <= {None}
    assert chunks[-1].choices == []
    cost = chunks[-1].usage
    assert cost is not None
    assert (cost.prompt_tokens, cost.total_tokens) == (whole.usage.prompt_tokens, whole.usage.total_tokens)
    assert (
        cost.prompt_tokens_details.cached_tokens == cost.prompt_tokens - 1
    )  # an earlier test sent the same request
    assert len({chunk.id for chunk in chunks}) == 1


def test_n_completions_have_indices_streamed_or_not(client: openai.OpenAI) -> None:
    asked = ASKED | {"temperature": 1.0, "n": 3, "seed": 5}
    whole = client.completions.create(**asked)
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    assert len({choice.text for choice in whole.choices}) > 1
    message = {0: "", 1: "", 2: ""}
    for chunk in client.completions.create(**asked, stream=True):
        message[chunk.choices[0].index] += chunk.choices[0].text
    assert message == {choice.index: choice.text for choice in whole.choices}


def test_best_of_returns_the_likeliest(client: openai.OpenAI) -> None:
    asked = ASKED | {"temperature": 1.5, "seed": 2, "logprobs": 0, "max_tokens": 6}

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    all_four = client.completions.create(**asked, n=4)
    best = client.completions.create(**asked, best_of=4)
    likeliest = max(all_four.choices, key=lambda choice: mean(choice.logprobs.token_logprobs or [-99.0]))
    assert [choice.text for choice in best.choices] == [likeliest.text]
    assert best.usage.completion_tokens == all_four.usage.completion_tokens


def test_several_prompts_return_choices_in_order(client: openai.OpenAI) -> None:
    prompts = ["one = ", "two = ", "def f():\n"]
    together = client.completions.create(**(ASKED | {"prompt": prompts}))
    alone = [client.completions.create(**(ASKED | {"prompt": prompt})) for prompt in prompts]
    assert [choice.index for choice in together.choices] == [0, 1, 2]
    assert [choice.text for choice in together.choices] == [found.choices[0].text for found in alone]


def test_logprobs_are_the_models(client: openai.OpenAI) -> None:
    choice = client.completions.create(**ASKED, logprobs=4).choices[0]
    reported = choice.logprobs
    assert reported is not None
    assert (
        len(reported.tokens)
        == len(reported.token_logprobs)
        == len(reported.top_logprobs)
        == len(reported.text_offset)
    )
    assert reported.text_offset[0] == 0
    for chance, top in zip(reported.token_logprobs, reported.top_logprobs, strict=True):
        assert len(top) in {4, 5}
        assert sum(math.exp(value) for value in top.values()) <= 1.001
        assert chance == pytest.approx(max(top.values()), abs=1e-3)  # greedy


def test_echo_returns_the_prompt(client: openai.OpenAI) -> None:
    plain = client.completions.create(**ASKED).choices[0].text
    echoed = client.completions.create(**ASKED, echo=True, logprobs=1).choices[0]
    assert echoed.text == ASKED["prompt"] + plain
    assert echoed.logprobs.text_offset[0] == len(ASKED["prompt"])
    streamed = "".join(
        chunk.choices[0].text for chunk in client.completions.create(**ASKED, echo=True, stream=True)
    )
    assert streamed == echoed.text


def test_stop_text_ends_the_completion_and_is_omitted(client: openai.OpenAI) -> None:
    text = client.completions.create(**ASKED).choices[0].text
    stop = text[3:5]
    for more in ({"stop": stop}, {"stop": ["never there", stop]}):
        found = client.completions.create(**ASKED, **more).choices[0]
        assert (found.text, found.finish_reason) == (text[: text.index(stop)], "stop")
        pieces = client.completions.create(**ASKED, **more, stream=True)
        assert "".join(chunk.choices[0].text for chunk in pieces) == found.text


def test_suffix_is_respected(client: openai.OpenAI) -> None:
    plain = client.completions.create(**ASKED)
    filled = client.completions.create(**ASKED, suffix="\n    return y")
    assert filled.usage.prompt_tokens == plain.usage.prompt_tokens + len("\n    return y") + 3


def test_errors_raise_the_clients_exception_classes(client: openai.OpenAI, server: Server) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(**(ASKED | {"max_tokens": 100_000}))
    assert refused.value.code == "context_length_exceeded"
    assert "maximum context length is" in str(refused.value)
    with pytest.raises(openai.BadRequestError) as wrong:
        client.completions.create(**(ASKED | {"temperature": 9}))
    assert wrong.value.param == "temperature"
    stranger = openai.OpenAI(base_url=f"{server.url}/v1", api_key="wrong", max_retries=0)
    with pytest.raises((openai.AuthenticationError, openai.PermissionDeniedError)):
        stranger.completions.create(**ASKED)
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")
