from __future__ import annotations

from typing import Any

import pytest

from jupyter_turbopilot.terminal.status import index_status, model_status

HEALTH = {"ready": True, "model": "a", "reason": None, "last_ms": 12.3}
INDEX = {"error": None, "building": True, "paused": None, "files": 1, "found": 3, "root": "/work"}


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "a is ready here, last suggestion in 12 ms."),
        ({"last_ms": None}, "a is ready here."),
        ({"ready": False, "reason": "No file."}, "a is not available here. No file."),
        ({"ready": False}, "a is not available here. The model is not loaded yet."),
        (
            {"last_ms": None, "week": {"shown": 4, "accepted": 2, "saved": 9}},
            "a is ready here. 2 of 4 suggestions accepted this week, 9 keystrokes saved.",
        ),
        (
            {"last_ms": None, "week": {"shown": 4, "accepted": 2, "saved": 9, "retained": 0.896}},
            (
                "a is ready here. 2 of 4 suggestions accepted this week, 9 keystrokes saved. "
                "Of the accepted characters, 90 % were still there when they were run next."
            ),
        ),
    ],
)
def test_model_status(changed: dict[str, Any], text: str) -> None:
    assert model_status(HEALTH | changed, "here") == text


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "1 of 3 files in /work, being built"),
        ({"paused": "kernel"}, "1 of 3 files in /work, paused while a kernel is busy"),
        ({"paused": "battery"}, "1 of 3 files in /work, paused on battery"),
        ({"building": False}, "1 of 3 files in /work"),
        ({"error": "full"}, "none (full)"),
    ],
)
def test_index_status(changed: dict[str, Any], text: str) -> None:
    assert index_status(INDEX | changed) == f"Index of your code: {text}"
    assert index_status(None) == ""
