"""What a model of characters becomes for browsers: a file of 8 bits a weight, and an entry in a list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jupyter_turbopilot.engine.llama.quantize import kinds, quantize
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.files import replace_content, sha256_of, size_of
from jupyter_turbopilot.models.quantization import order

if TYPE_CHECKING:
    from pathlib import Path

TYPE, LIST = "Q8_0", "models.json"


def listed_beside(model: Path) -> dict[str, Any]:
    """Return the list beside a model, or an empty one; one that cannot be read is somebody's to correct."""
    path = model.with_name(LIST)
    if not path.exists():
        return {"models": []}
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BadRequestError(f"{path} cannot be read: {error}. Correct it, or move it elsewhere.") from None
    if not isinstance(kept, dict) or not isinstance(kept.get("models", []), list):
        raise BadRequestError(f"{path} is not a list of models. Correct it, or move it elsewhere.")
    return {"models": []} | kept


def write_for_browsers(model: Path, language: str = "") -> Path:
    """Quantise a model and list it, both beside it; return the list. Its other entries stay as they are."""
    kept = listed_beside(model)
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
    models = kept["models"]
    same = (n for n, one in enumerate(models) if isinstance(one, dict) and one.get("url") == entry["url"])
    if (at := next(same, None)) is None:
        models.append(entry)
    else:
        models[at] |= entry  # what somebody wrote beside it, a licence for instance, stays
    path = model.with_name(LIST)
    replace_content(path, (json.dumps(kept, indent=2) + "\n").encode())
    return path
