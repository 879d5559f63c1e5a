from __future__ import annotations

from jupyter_turbopilot.engine.child_process.messages import Load, decode_request, encode
from jupyter_turbopilot.engine.llama.hosted_model import HostedLlama
from jupyter_turbopilot.engine.load.plan import Hardware, LoadPlan
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec


def test_hosted_llama_survives_encoding() -> None:
    hardware = Hardware(1, True, "q8_0", (AdapterSpec("a.gguf", 0.5, "r"),))
    hosted = HostedLlama(
        "/a/model.gguf", LoadPlan(256, 2, 3, 4, 5, False, hardware), "name", "qwen", "/a/.sequences"
    )
    load = decode_request(encode(Load.of(hosted)))
    assert isinstance(load, Load)
    assert load.hosted() == hosted
