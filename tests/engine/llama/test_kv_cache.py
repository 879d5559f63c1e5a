import mmap
from pathlib import Path

import pytest

from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.llama.kv_cache import new_buffer
from jupyter_turbopilot.engine.load.plan import LoadPlan

from .test_engine import complete


@pytest.mark.parametrize("size", [0, 1, 10_000])
def test_new_buffer_is_writable_and_outside_the_heap(size: int) -> None:
    buffer = new_buffer(size)
    buffer[:] = b"a" * size
    assert bytes(buffer) == b"a" * size
    assert isinstance(buffer.obj, mmap.mmap)


def test_parked_copies_are_outside_the_heap(tiny_model: Path, tmp_path: Path) -> None:
    for _ in range(2):  # parked, and loaded from the file
        engine = LlamaEngine(tiny_model, LoadPlan(512, 1, parked=512), name="t", state=tmp_path / "state")
        complete(engine, "a = 1\n" * 20)
        states = [copy.state for copy in engine.sequences.park_all()]
        assert states
        assert all(isinstance(state.obj, mmap.mmap) for state in states)
        engine.close()
