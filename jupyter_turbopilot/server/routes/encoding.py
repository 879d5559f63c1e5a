"""Writing JSON as clients of other servers expect it. Pure."""

from __future__ import annotations

import json
from typing import Any

import msgspec


def compact(body: Any) -> bytes:
    """Write JSON without spaces: llama.vim drops an answer that has one behind the colon of `"content"`."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:  # a file's name need not be UTF-8
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, default=_written)
        return text.encode("utf-8", "replace")


def _written(part: msgspec.Raw) -> Any:
    """Return a part that was written already as what it stands for."""
    return json.loads(bytes(part))
