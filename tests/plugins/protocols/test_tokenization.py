import asyncio
import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.jupyter.routes.limits import BYTES_PER_REQUEST
from jupyter_turbopilot.plugins.protocols import tokenization
from jupyter_turbopilot.plugins.protocols.tokenization import longest_first, split_specials

from ...jupyter.routes.conftest import Ask, error_of
from ...scripted_engine import ScriptedEngine

SPECIALS = longest_first({"<s>": 1, "<s>>": 2})


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("", []),
        ("a", ["a"]),
        ("<s>", [1]),
        ("a<s>b", ["a", 1, "b"]),
        ("<s><s>", [1, 1]),
        ("<s>>", [2]),  # the longest first
        ("<s>><s>", [2, 1]),
    ],
)
def test_split_specials_separates_control_tokens(text: str, fragments: list[str | int]) -> None:
    assert split_specials(text, SPECIALS) == fragments


@given(st.text(alphabet="<s>ab"))
def test_split_specials_loses_no_text(text: str) -> None:
    spelt = {number: name for name, number in SPECIALS.items()}
    fragments = split_specials(text, SPECIALS)
    assert "".join(spelt[part] if isinstance(part, int) else part for part in fragments) == text
    assert not [part for part in fragments if isinstance(part, str) and "<s>" in part]


async def test_unknown_token_is_rejected_by_name(ask: Ask, ready: Any, engine: ScriptedEngine) -> None:
    def piece(_token: int) -> bytes:
        raise IndexError

    engine.vocabulary.piece = piece  # type: ignore[method-assign]
    response = await ask("detokenize", {"tokens": [3]})
    assert (response.code, error_of(response)["field"]) == (400, "tokens")


async def test_detokenize_limits_the_length_of_its_answer(
    ask: Ask, ready: Any, engine: ScriptedEngine
) -> None:
    engine.vocabulary.piece = lambda _token: b" " * 10_000  # type: ignore[method-assign]
    response = await ask("detokenize", {"tokens": [3] * 4000})
    assert (response.code, error_of(response)["code"]) == (400, "too_complex")
    assert (await ask("detokenize", {"tokens": [3] * 40})).code == 200


async def test_tokenize_flood_delays_no_completions(
    ask: Ask, ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()

    def stuck(*_: Any) -> bytes:
        free.wait(60)
        return b"{}"

    monkeypatch.setattr(tokenization, "_tokenize_body", stuck)
    flood = [asyncio.create_task(ask("tokenize", {"content": "x"})) for _ in range(8)]
    try:
        await asyncio.sleep(0.2)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 20) == 7
        for path, body in (("v1/completions", {"prompt": "x"}), ("completion", {"prompt": "x"})):
            assert (await asyncio.wait_for(ask(path, body), 20)).code == 200
    finally:
        free.set()
        await asyncio.gather(*flood)


async def test_long_responses_are_encoded_correctly_in_slices(ask: Ask, ready: Any) -> None:
    text = 'a"é\\\n' * 5000
    answer = json.loads((await ask("tokenize", {"content": text, "with_pieces": True})).body)
    assert "".join(token["piece"] for token in answer["tokens"] if isinstance(token["piece"], str))
    ids = [token["id"] for token in answer["tokens"]]
    assert json.loads((await ask("tokenize", {"content": text})).body)["tokens"] == ids
    assert json.loads((await ask("detokenize", {"tokens": ids})).body)["content"] == text


@pytest.mark.parametrize("server_traits", [{"requests_per_minute": 3}])
@pytest.mark.parametrize(("path", "body"), [("tokenize", {"content": ""}), ("detokenize", {"tokens": []})])
async def test_tokenize_is_charged_by_size(ask: Ask, ready: Any, path: str, body: dict[str, Any]) -> None:
    assert (await ask(path, body)).code == 200  # one of three
    long = body | {"unknown": "x" * (3 * BYTES_PER_REQUEST // 2)}
    assert [(await ask(path, long)).code, (await ask(path, body)).code] == [200, 429]
