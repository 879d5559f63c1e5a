import json
from typing import Any

import pytest

from jupyter_turbopilot.plugins.protocols.huggingface import Parameters

from ...jupyter.routes.conftest import Ask
from ...scripted_engine import ScriptedEngine


@pytest.mark.parametrize(
    ("given", "temperature"),
    [
        ({}, 0.0),
        ({"do_sample": True}, 1.0),
        ({"top_k": 5}, 1.0),
        ({"best_of": 2}, 1.0),
        ({"temperature": 0.3}, 0.3),
        ({"temperature": 0.3, "do_sample": False}, 0.0),
        ({"temperature": 0.0, "do_sample": True}, 0.0),
    ],
)
def test_generate_is_greedy_unless_sampling_is_requested(given: dict[str, Any], temperature: float) -> None:
    assert Parameters(**given).sampling(1).temperature == temperature


async def test_errors_have_hugging_faces_format(ask: Ask, ready: Any, engine: ScriptedEngine) -> None:
    response = await ask("api/generate", {"inputs": 5})
    error = json.loads(response.body)
    assert (response.code, error["error_type"]) == (400, "validation")
    assert isinstance(error["error"], str)
