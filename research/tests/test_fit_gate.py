"""Collecting completions for the gate, with a tiny real model."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import fit_gate
import nbformat
import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("blank", [0, 1])
def test_collect_writes_the_tokens_of_each_position(tiny_model: Path, tmp_path: Path, blank: int) -> None:
    cells = [
        "import json\n\nfor number in range(10):\n    print(number)",
        "total = sum(range(20))\nprint(total)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])  # type: ignore[no-untyped-call]
    nbformat.write(notebook, tmp_path / "some.ipynb")  # type: ignore[no-untyped-call]
    common = {"half": "all", "engine": None, "adapters": None, "tokens": 4, "cells": 1}
    out = tmp_path / "places.jsonl"
    fit_gate.collect(
        argparse.Namespace(set=tmp_path / "some.ipynb", out=out, blank=blank, model=str(tiny_model), **common)
    )
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(lines) == (2 if blank else len(range(4, len(cells[0]), 4)))
    probabilities = [probability for line in lines for _, probability in line["tokens"]]
    assert probabilities
    assert all(0 <= probability <= 1 for probability in probabilities)
