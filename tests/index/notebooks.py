"""Notebooks and folders of notebooks for tests of the index."""

import json
from pathlib import Path


def notebook(*cells: str, language: str = "python", kinds: tuple[str, ...] = ()) -> str:
    """Return the text of a notebook file."""
    return json.dumps(
        {
            "cells": [
                {
                    "id": f"cell-{at}",
                    "cell_type": kinds[at] if kinds else "code",
                    "execution_count": None,
                    "metadata": {},
                    "outputs": [],
                    "source": source.splitlines(keepends=True),
                }
                for at, source in enumerate(cells)
            ],
            "metadata": {"language_info": {"name": language}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


def write(root: Path, path: str, *cells: str) -> Path:
    """Put a notebook into a folder."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(notebook(*cells), "utf-8")
    return target
