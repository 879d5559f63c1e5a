from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from turbopilot_research.evaluate import notebooks, traces

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


@contextmanager
def pipe(path: Path) -> Iterator[None]:
    """Create a named pipe that yields a notebook if it is read."""
    notebook(path)
    content = path.read_text()
    path.unlink()
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(content,), daemon=True)
    writer.start()
    try:
        yield
    finally:
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # end the writer
        writer.join()
        os.close(reader)


@pytest.fixture
def appended(tmp_path: Path) -> list[traces.Trace]:
    return traces.of_kind(notebooks.read(notebook(tmp_path / "a.ipynb")), "append", 0)
