from __future__ import annotations

import json
from pathlib import Path

from jupyter_turbopilot.cli import parser
from jupyter_turbopilot.engine.load.plan import DEFAULT_CONTEXT

from ..process import jupyter


def test_a_converted_model_is_described(whole: Path) -> None:
    said = jupyter("models", "info", whole).stdout
    assert "qwen2, 2 layers" in said
    assert "F16" in said
    found = json.loads(jupyter("models", "info", whole, "--json", "--context", "64").stdout)
    assert found["memory"]["context"] == 64
    assert (
        found["memory"]["cache"] == 2 * 64 * 2 * 2 * 64 * 2
    )  # layers, tokens, K and V, heads, their size, bytes
    assert found["fim"] == "none"


def test_a_file_that_is_not_there_cannot_be_described() -> None:
    done = jupyter("models", "info", "./none.gguf")
    assert done.returncode == 2
    assert "There is no file" in done.stderr
    assert "Traceback" not in done.stderr


def test_memory_is_computed_for_the_context_that_the_server_takes() -> None:
    assert parser().parse_args(["models", "info", "x"]).context == DEFAULT_CONTEXT
