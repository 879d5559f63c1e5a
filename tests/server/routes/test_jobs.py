from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from jupyter_turbopilot.reply import Reply
from jupyter_turbopilot.server.routes import llamacpp, openai_wording
from jupyter_turbopilot.server.routes.deltas import placed_tokens
from jupyter_turbopilot.server.routes.jobs import JobRoute

from .conftest import Ask, complete_body, error_of


@pytest.mark.parametrize(
    ("path", "asked", "module"),
    [("completion", {"n_probs": 2}, llamacpp), ("v1/completions", {"logprobs": 2}, openai_wording)],
)
async def test_long_answers_are_written_beside_the_event_loop(
    ask: Ask, ready: Any, monkeypatch: pytest.MonkeyPatch, path: str, asked: dict[str, Any], module: Any
) -> None:
    threads: set[int] = set()

    def watched(item: Any, **more: Any) -> Any:
        threads.add(threading.get_ident())
        return placed_tokens(item, **more)

    monkeypatch.setattr(module, "placed_tokens", watched)
    response = await ask(path, {"prompt": "x", "max_tokens": 4, "n": 2} | asked)
    assert response.code == 200
    assert threads
    assert threading.get_ident() not in threads


async def test_requests_are_counted_under_the_name_of_their_route(ask: Ask, ready: Any) -> None:
    await ask("complete", complete_body())
    text = (await ask("metrics", method="GET")).body.decode()
    assert 'turbopilot_requests_total{outcome="answered",route="complete"} 1.0' in text


async def test_an_answer_without_any_text_is_an_error_that_says_why(
    ask: Ask, ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(_route: Any, _requests: Any) -> AsyncGenerator[tuple[int, Reply]]:
        yield 0, Reply("id", done=True, finish_reason="deadline")

    monkeypatch.setattr(JobRoute, "together", late)
    response = await ask("v1/completions", {"prompt": "x"})
    assert (response.code, error_of(response)["code"]) == (503, "deadline")


async def test_without_a_model_the_engine_is_asked_for_in_vain(ask: Ask, pilot: Any) -> None:
    response = await ask("tokenize", {"content": "x"})
    assert response.code == 503
    assert error_of(response)["message"]
