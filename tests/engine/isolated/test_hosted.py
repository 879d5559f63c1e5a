from __future__ import annotations

from pathlib import Path

import msgspec

from jupyter_turbopilot.engine.isolated.hosted import Hosted, HostedLlama
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load.plan import Hardware, Plan
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec


def test_it_travels_with_all_that_it_is_loaded_with() -> None:
    hardware = Hardware(1, 2, (0.5, 0.5), "q8_0", False, (AdapterSpec("a.gguf", 0.5, "r"),))
    hosted = HostedLlama("/a/model.gguf", Plan(256, 2, 3, 4, 5, hardware), "name", "qwen", "/a/.sequences")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(hosted), type=Hosted) == hosted


def test_it_loads_what_it_says(tiny_model: Path) -> None:
    engine = HostedLlama(str(tiny_model), Plan(256, 1, 0), "tiny", "qwen").load()
    assert isinstance(engine, LlamaEngine)
    assert (engine.name, engine.fim, engine.context_size) == ("tiny", "qwen", 256)
    engine.close()
