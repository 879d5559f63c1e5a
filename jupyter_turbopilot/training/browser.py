"""What a model of characters becomes for browsers: a file of 8 bits a weight, and an entry in a list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jupyter_turbopilot.engine.llama.quantize import kinds, quantize
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.files import read_object, replace_content, sha256_of, size_of
from jupyter_turbopilot.models.quantization import order

if TYPE_CHECKING:
    from pathlib import Path

TYPE, LIST = "Q8_0", "models.json"


def write_for_browsers(model: Path, language: str = "") -> Path:
    """Quantise a model and list it, both beside it; return the list. Its other entries stay as they are."""
    target = model.with_stem(f"{model.stem}-q8")
    quantize(order(model, target, TYPE, kinds(), force=False), machine.threads())
    entry: dict[str, Any] = {
        "name": model.stem,
        "url": quote(target.name),
        "sha256": sha256_of(target),
        "size": size_of(target),
    }
    if language:
        entry["language"] = language
    path = model.with_name(LIST)
    kept = read_object(path)
    models = kept["models"] if isinstance(kept.get("models"), list) else []
    same = (n for n, one in enumerate(models) if isinstance(one, dict) and one.get("url") == entry["url"])
    if (at := next(same, None)) is None:
        models.append(entry)
    else:
        models[at] |= entry  # what somebody wrote beside it, a licence for instance, stays
    replace_content(path, (json.dumps(kept | {"models": models}, indent=2) + "\n").encode())
    return path
