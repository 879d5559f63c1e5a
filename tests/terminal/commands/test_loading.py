from pathlib import Path

import pytest

from jupyter_turbopilot.protocol.errors import DisabledError, NotReadyError
from jupyter_turbopilot.settings.access import ENABLED
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.commands.loading import load


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
