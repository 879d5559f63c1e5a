from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.stepping.engine import write
from jupyter_turbopilot.protocol.engine_request import Sampling, Usage
from jupyter_turbopilot.protocol.errors import DisabledError, NotReadyError
from jupyter_turbopilot.settings.access import ENABLED
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.commands.loading import Clock, load


def test_load_plans_a_single_sequence_with_the_given_options(tiny_model: Path) -> None:
    loaded = load(Turbopilot(max_threads=1), str(tiny_model), context=300, threads=2, chunk=16)
    engine = loaded.engine
    try:
        assert (engine.context_size, engine.chunk, loaded.threads) == (300, 16, 1)
        cells = engine._lib.llama_n_ctx(engine._context)
        assert 300 <= cells < 600
        assert loaded.path == tiny_model
        assert loaded.size == tiny_model.stat().st_size
        clock = Clock(engine)
        list(write(engine, [1, 2, 3], Sampling(max_tokens=2), Usage(), Cancel()))
        assert 0 < clock.seconds < 60
    finally:
        engine.close()


def test_load_reports_a_missing_model() -> None:
    with pytest.raises(NotReadyError, match="models pull --mirrors smollm2-135m") as missing:
        load(Turbopilot(), "smollm2-135m")
    assert missing.value.code == "model_missing"


def test_load_is_refused_where_turbopilot_is_switched_off(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DisabledError):
        load(Turbopilot(enabled=False), str(tiny_model))
    monkeypatch.setenv(ENABLED, "0")
    with pytest.raises(DisabledError):
        load(Turbopilot(), str(tiny_model))
