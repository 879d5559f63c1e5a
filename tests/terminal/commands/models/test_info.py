import json
from pathlib import Path

import pytest

from ..running import run


def test_info_describes_a_converted_model(capsys: pytest.CaptureFixture[str], whole: Path) -> None:
    message = run(capsys, "models", "info", str(whole))[1]
    assert "qwen2, 2 layers" in message
    assert "F16" in message
    found = json.loads(run(capsys, "models", "info", str(whole), "--json", "--context", "64")[1])
    assert found["memory"]["context"] == 64
    assert (
        found["memory"]["cache"] == 2 * 64 * 2 * 2 * 64 * 2
    )  # layers, tokens, K and V, heads, their size, bytes
    assert found["fim"] == "none"


def test_info_reports_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "models", "info", "./none.gguf")
    assert status == 2
    assert "There is no file" in err
