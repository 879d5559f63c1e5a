from __future__ import annotations

import threading
from typing import Any

import pytest

from jupyter_turbopilot.server.routes import llamacpp, openai_completions
from jupyter_turbopilot.server.routes.deltas import placed_tokens

from .conftest import Ask


@pytest.mark.parametrize(
    ("path", "asked", "module"),
    [("completion", {"n_probs": 2}, llamacpp), ("v1/completions", {"logprobs": 2}, openai_completions)],
)
async def test_long_answers_are_written_beside_the_event_loop(
    ask: Ask, ready: Any, monkeypatch: pytest.MonkeyPatch, path: str, asked: dict[str, Any], module: Any
) -> None:
    threads: set[int] = set()

    def watched(item: Any) -> Any:
        threads.add(threading.get_ident())
        return placed_tokens(item)

    monkeypatch.setattr(module, "placed_tokens", watched)
    response = await ask(path, {"prompt": "x", "max_tokens": 4, "n": 2} | asked)
    assert response.code == 200
    assert threads
    assert threading.get_ident() not in threads
