from __future__ import annotations

import json
from pathlib import Path

from ..running import jupyter


def test_info_describes_a_converted_model(whole: Path) -> None:
    message = jupyter("models", "info", whole).stdout
    assert "qwen2, 2 layers" in message
    assert "F16" in message
    found = json.loads(jupyter("models", "info", whole, "--json", "--context", "64").stdout)
    assert found["memory"]["context"] == 64
    assert (
        found["memory"]["cache"] == 2 * 64 * 2 * 2 * 64 * 2
    )  # layers, tokens, K and V, heads, their size, bytes
    assert found["fim"] == "none"


def test_info_reports_a_missing_file() -> None:
    done = jupyter("models", "info", "./none.gguf")
    assert done.returncode == 2
    assert "There is no file" in done.stderr
    assert "Traceback" not in done.stderr


def test_recommend_prints_models_for_this_machine() -> None:
    done = jupyter("models", "recommend")
    assert done.returncode == 0
    assert done.stdout.count("recommended") == 1
    assert "estimated" in done.stdout
    assert "codegen-16b-mono" in jupyter("models", "recommend", "--all").stdout


def test_recommend_prints_json() -> None:
    done = jupyter("models", "recommend", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["measured"], found["cores"] > 0, found["free_memory"] > 0) == (False, True, True)
    assert [model["verdict"] for model in found["models"]].count("recommended") == 1
    assert all(model["memory"] > 0 < model["tokens_per_second"] for model in found["models"])
