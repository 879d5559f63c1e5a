"""The model catalogue, and the parsing of other model specifications."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from jupyter_turbopilot.models.entries import ENTRIES
from jupyter_turbopilot.models.model import SAFE_FILE, HubFile, Model, Url
from jupyter_turbopilot.protocol.errors import UnknownModelError

# Hugging Face allows no two dashes in a row in a name, so `--` can replace the slash.
_NAME = r"[A-Za-z0-9](?:-(?!-)|[\w.]){0,95}+"
REPOSITORY = re.compile(f"{_NAME}/{_NAME}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HOW = (
    "Use a name from `jupyter turbopilot models list`, a path to a .gguf file, "
    "owner/repository/file.gguf, or https://…/file.gguf#sha256=…"
)


def _safe_file(name: str, spec: str) -> str:
    if not SAFE_FILE.fullmatch(name) or ".." in name:
        raise UnknownModelError(
            f"{spec!r} does not name a .gguf file that can be stored. {_HOW}", field="model"
        )
    return name


def _stored_as(label: str, identity: str) -> str:
    """Return a file name that is unique to an address and a digest."""
    return f"{hashlib.sha256(identity.encode()).hexdigest()[:12]}--{label[-150:]}"


@lru_cache(maxsize=1)
def catalog() -> dict[str, Model]:
    """Return the models of the catalogue, by name."""
    return {model.name: model for model in ENTRIES}


def find(spec: str) -> Model:
    """Return the model for a name, a path, a Hugging Face file or a URL."""
    spec = spec.strip()
    if known := catalog().get(spec):
        return known
    if not spec or "\0" in spec or "\n" in spec or "\r" in spec:
        raise UnknownModelError(f"This is not a model name. {_HOW}", field="model")
    if "://" in spec:
        return _from_url(spec)
    try:
        as_path = Path(spec).expanduser()
        here = as_path.is_file()
    except (OSError, RuntimeError):  # a name that is too long; a home directory that does not exist
        raise UnknownModelError(f"This is not a model name. {_HOW}", field="model") from None
    if here or as_path.is_absolute() or spec.startswith(("./", ".\\", "../")):
        return Model(name=as_path.name, file=as_path.name, path=as_path)
    repo, _, file = spec.replace(":", "/", 1).partition("/")
    owner_repo = "/".join((repo, file.split("/")[0]))
    rest = file.partition("/")[2]
    if REPOSITORY.fullmatch(owner_repo) and rest and not any(p in {"", ".", ".."} for p in rest.split("/")):
        stored = _safe_file(rest.rsplit("/", 1)[-1], spec)
        source = HubFile(owner_repo, rest)
        if known := next((model for model in catalog().values() if source in model.sources), None):
            return known
        name = f"{owner_repo}/{rest}"
        return Model(
            name=name,
            file=_stored_as(f"{owner_repo.replace('/', '--')}--{stored}", f"hub {name}"),
            sources=(source,),
        )
    raise UnknownModelError(f"There is no model called {spec!r}. {_HOW}", field="model")


def _from_url(spec: str) -> Model:
    try:
        parts = urlsplit(spec)
        _ = parts.port
    except ValueError:
        raise UnknownModelError(f"This is not a valid model URL. {_HOW}", field="model") from None
    if not parts.hostname or parts.scheme not in {"http", "https"}:
        raise UnknownModelError(f"This is not a valid model URL. {_HOW}", field="model")
    if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise UnknownModelError("Models are downloaded over https only. Use an https address.", field="model")
    digest = parts.fragment.removeprefix("sha256=").lower() if parts.fragment else None
    if digest is not None and not _DIGEST.fullmatch(digest):
        raise UnknownModelError("The part after # must be sha256= and 64 hex digits.", field="model")
    address = parts._replace(fragment="").geturl()
    label = _safe_file(unquote(parts.path).rsplit("/", 1)[-1], spec)
    file = _stored_as(label, f"{address} {digest or ''}")
    return Model(name=file, file=file, sha256=digest, sources=(Url(address),))
