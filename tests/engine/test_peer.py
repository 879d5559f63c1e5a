import json
from typing import Any

import msgspec
import pytest

from jupyter_turbopilot.engine.peer import PeerOptions
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Sampling


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (EngineRequest((1,)), {}),
        (EngineRequest((1,), automatic=True), {"automatic": True}),
        (
            EngineRequest((1,), Sampling(beginning=PrefixConstraint(banned=0)), priority="warmup"),
            {"banned_token": 0, "priority": "warmup"},
        ),
    ],
)
def test_peer_options_omit_defaults(request_: EngineRequest, fields: dict[str, Any]) -> None:
    assert json.loads(msgspec.json.encode(PeerOptions.of(request_))) == fields
