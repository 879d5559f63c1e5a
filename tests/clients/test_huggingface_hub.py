"""Hugging Face's own client against a real server."""

from collections.abc import Iterator

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import ValidationError

from ..serving import Server

PROMPT = "def f(x):"


@pytest.fixture
def client(server: Server) -> Iterator[InferenceClient]:
    with InferenceClient(model=f"{server.url}/api/generate", token=server.key) as made:
        yield made


def test_generate_streams_the_same_tokens(client: InferenceClient) -> None:
    whole = client.text_generation(PROMPT, max_new_tokens=12, details=True)
    parts = list(client.text_generation(PROMPT, max_new_tokens=12, details=True, stream=True))
    assert parts[-1].generated_text == whole.generated_text
    assert all(part.generated_text is None for part in parts[:-1])
    written = [part.token.id for part in parts if not part.token.special]
    assert written == [token.id for token in whole.details.tokens]
    assert parts[-1].details.finish_reason == whole.details.finish_reason


def test_generate_respects_stop_text_and_seed(client: InferenceClient) -> None:
    text = client.text_generation(PROMPT, max_new_tokens=12)
    stopped = client.text_generation(PROMPT, max_new_tokens=12, stop=[text[3:5]], details=True)
    assert stopped.generated_text == text[: text.index(text[3:5])]
    assert stopped.details.finish_reason == "stop_sequence"
    drawn = {"max_new_tokens": 12, "do_sample": True, "temperature": 1.2}
    one, same, other = (client.text_generation(PROMPT, seed=seed, **drawn) for seed in (3, 3, 4))
    assert one == same != other


def test_generate_accepts_fim_tokens_of_all_model_families(client: InferenceClient, server: Server) -> None:
    marked = f"<fim_prefix>{PROMPT}<fim_suffix>\n    return y<fim_middle>"
    filled = client.text_generation(marked, max_new_tokens=8, details=True)
    asked = {"prompt": PROMPT, "suffix": "\n    return y", "max_tokens": 8, "temperature": 0}
    assert (
        filled.generated_text
        == server.client.post("/v1/completions", json=asked).json()["choices"][0]["text"]
    )


def test_generate_reports_errors_with_a_message(client: InferenceClient) -> None:
    with pytest.raises(ValidationError, match="context length"):
        client.text_generation(PROMPT, max_new_tokens=60_000)
