"""What the rest has to know of a kind of engine: its models, how one is loaded, what `doctor` says of it."""

from __future__ import annotations

import os
import shutil
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from jupyter_turbopilot.engine.vocabulary import Vocabulary
from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.files import MEGABYTE
from jupyter_turbopilot.models.gguf import stamp
from jupyter_turbopilot.models.store import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.load.plan import Limits
    from jupyter_turbopilot.models.download import DownloadProgress
    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.models.store import Store, Stored


@dataclass(frozen=True)
class Finding:
    """One line of an examination."""

    name: str
    text: str
    problem: bool = False


def limits_of(settings: Turbopilot) -> Limits:
    """Return what the settings ask for of any engine that computes here."""
    from jupyter_turbopilot.engine.load import machine
    from jupyter_turbopilot.engine.load.plan import Limits

    return Limits(
        context_size=settings.context_size,
        threads=machine.threads(settings.threads, settings.max_threads),
        max_bytes=settings.max_memory * MEGABYTE,
        sequence_bytes=settings.sequences_memory * MEGABYTE,
    )


def missing(model: Model, stored: Stored | None = None) -> Iterator[Finding]:
    """Report that a model must be downloaded first, or again, and whether there is room for it."""
    if model.path:
        yield Finding("model", f"{model.path} is no model that this engine runs.", problem=True)
        return
    yield Finding("model", unavailable(model, stored).message, problem=True)
    free = shutil.disk_usage(os.path.expanduser("~")).free  # noqa: PTH111 - before the folder exists
    scarce = bool(model.size and free < model.size)
    yield Finding("disk", f"{free / 1e9:.1f} GB free", problem=scarce)


class OwnVocabulary(Vocabulary, Protocol):
    """A vocabulary whose memory can be freed."""

    def close(self) -> None:
        """Free its memory; whoever uses it still gets an error."""


class LatestVocabulary:
    """The vocabulary that was loaded last, for a model in another process; the same model gets it again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key = ""
        self._vocabulary: OwnVocabulary | None = None

    def of(self, path: Path, load: Callable[[Path], OwnVocabulary]) -> OwnVocabulary:
        """Return the vocabulary of a file or folder; the one before is freed."""
        key = f"{path}|{stamp(path)}"
        with self._lock:
            if self._vocabulary is None or key != self._key:
                before, self._vocabulary = self._vocabulary, load(path)
                self._key = key
                if before:
                    before.close()
            return self._vocabulary


class EngineKind(ABC):
    """A kind of engine, as the settings set it up.

    What is not abstract suits an engine whose model is on another machine.
    """

    def __init__(self, settings: Turbopilot, store: Store) -> None:
        self.settings = settings
        self.store = store
        self._vocabulary = LatestVocabulary()

    @property
    def address(self) -> str:
        """The host that code is sent to; empty where it stays on this machine."""
        return ""

    @abstractmethod
    def find(self, spec: str) -> Model:
        """Return the model that a person means."""

    @abstractmethod
    def models(self, selected: str) -> list[Model]:
        """List the models that can be chosen, the selected one among them."""

    @abstractmethod
    def stored(self, model: Model) -> Stored | None:
        """Return what is on the disk of a model; None where it has to be fetched first."""

    @abstractmethod
    def load(self, model: Model, cancel: Cancel, *, tuned: bool) -> Engine:
        """Load a model, or refuse what cannot be loaded here."""

    @abstractmethod
    def examine(self) -> Iterator[Finding]:
        """Examine what it needs and what is there."""

    def obtain(
        self,
        model: Model,
        progress: Callable[[DownloadProgress], None] = lambda _: None,  # noqa: ARG002
        cancel: threading.Event | None = None,  # noqa: ARG002
        *,
        mirrors: bool = False,  # noqa: ARG002
    ) -> Path:
        """Download a model; return where it is."""
        raise _elsewhere(model, "fetch")

    def merge_adapters(self, model: Model) -> None:  # noqa: B027 - most engines use no such copy
        """Write the copy of a model with its adapters, for all who use the folder of models."""

    def remove(self, model: Model) -> int:
        """Delete what was fetched of a model, and return the bytes freed."""
        raise _elsewhere(model, "remove")

    def verify(self, model: Model) -> bool:
        """Read a model again and compare it with the digests that are known."""
        raise _elsewhere(model, "verify")


def _elsewhere(model: Model, what: str) -> BadRequestError:
    """Return the error for a model that is not on this machine."""
    return BadRequestError(
        f"The model is on a remote server ({model.name}); there is nothing to {what} on this machine. "
        "For a model on this machine, choose another c.Turbopilot.engine.",
        field="model",
    )
