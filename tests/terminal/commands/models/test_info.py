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


def test_recommend_prints_models_for_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "models", "recommend")
    assert status == 0
    assert out.count("recommended") == 1
    assert "estimated" in out
    assert "codegen-16b-mono" in run(capsys, "models", "recommend", "--all")[1]


def test_recommend_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "models", "recommend", "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert (found["measured"], found["cores"] > 0, found["free_memory"] > 0) == (False, True, True)
    assert [model["verdict"] for model in found["models"]].count("recommended") == 1
    assert all(model["memory"] > 0 < model["tokens_per_second"] for model in found["models"])
