from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_turbopilot.evaluate import notebooks, traces

CODE = "total = sum(values)\nprint(total)\naverage = total / len(values)\n"


def notebook(path: Path) -> Path:
    """Write a notebook; return its folder."""
    cells = [
        {"cell_type": "markdown", "source": ["# Sums"]},
        {"cell_type": "code", "source": ["values = [1, 2, 3]"]},
        {"cell_type": "code", "source": CODE.splitlines(keepends=True)},
        {"cell_type": "code", "source": "print(average)"},
    ]
    path.write_text(json.dumps({"cells": cells}))
    return path.parent


@pytest.fixture
def appended(tmp_path: Path) -> list[traces.Trace]:
    return traces.of_kind(notebooks.read(notebook(tmp_path / "a.ipynb")), "append", 0)
