from typing import Any

import pytest

from jupyter_turbopilot.plugins.usage.terminal import PLUGIN

LOG = {"text": False, "file": "/a/study.jsonl", "error": None}


@pytest.mark.parametrize(
    ("usage_log", "line"),
    [
        (None, ""),
        (LOG, "Usage log: on (numbers, no text, in /a/study.jsonl)"),
        (LOG | {"text": True, "file": None}, "Usage log: on (numbers and the text of suggestions)"),
        (
            LOG | {"file": None, "error": "full"},
            "Usage log: on (numbers, no text); it cannot be written: full",
        ),
    ],
)
def test_status_describes_the_usage_log(usage_log: dict[str, Any] | None, line: str) -> None:
    assert PLUGIN.status({"usage_log": usage_log}) == line
