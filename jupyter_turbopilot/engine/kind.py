"""Interface of a kind of engine: its models, loading, and diagnostics for `doctor`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from jupyter_turbopilot.protocol.errors import BadRequestError, EngineError
from jupyter_turbopilot.util import registry
from jupyter_turbopilot.util.files import MEGABYTE

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.load.plan import Limits
    from jupyter_turbopilot.models.download import DownloadProgress
    from jupyter_turbopilot.models.findings import Finding
    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.models.store import Store, Stored
    from jupyter_turbopilot.settings.config import Turbopilot


def load_kind(name: str) -> type[EngineKind]:
    """Return the kind of engine that is registered under a name, which the setting has checked."""
    entry = registry.find("engines", name)
    kind: type[EngineKind] | None = entry.load() if entry else None
    if kind is None:
        raise EngineError(f"The engine {name} is not installed. Set c.Turbopilot.engine to another one.")
    return kind


def kind_of(settings: Turbopilot, store: Store) -> EngineKind:
    return load_kind(settings.engine)(settings, store)


def limits_of(settings: Turbopilot) -> Limits:
    """Return the limits that apply to every local engine."""
    from jupyter_turbopilot.engine.load import machine
    from jupyter_turbopilot.engine.load.plan import Limits

    return Limits(
        context_size=settings.context_size,
        threads=machine.threads(settings.threads),
        max_bytes=settings.max_memory * MEGABYTE,
        sequence_bytes=settings.sequences_memory * MEGABYTE,
    )


class EngineKind(ABC):
    """A configured kind of engine.

    The methods that are not abstract suit an engine whose model is on a remote server.
    """

    # Whether loading a model waits for the copy with merged adapters. Otherwise `prepare_copy` makes the copy
    # in the background.
    waits_for_copy = True

    def __init__(self, settings: Turbopilot, store: Store) -> None:
        self.settings = settings
        self.store = store

    @property
    def address(self) -> str:
        """The host that code is sent to; empty if it stays on this machine."""
        return ""

    @abstractmethod
    def find(self, spec: str) -> Model:
        """Return the model for a name, path or URL."""

    @abstractmethod
    def models(self, selected: str) -> list[Model]:
        """List the available models, including the selected one."""

    @abstractmethod
    def stored(self, model: Model) -> Stored | None:
        """Return the model's files on disk; None if they have to be downloaded first."""

    @abstractmethod
    def load(self, model: Model, cancel: Cancel, *, adapters_enabled: bool) -> Engine:
        """Load a model; raise an error if it cannot be loaded here."""

    @abstractmethod
    def examine(self) -> Iterator[Finding]:
        """Check the requirements of the engine."""

    def obtain(
        self,
        model: Model,
        progress: Callable[[DownloadProgress], None] = lambda _: None,  # noqa: ARG002
        cancel: threading.Event | None = None,  # noqa: ARG002
        *,
        mirrors: bool = False,  # noqa: ARG002
    ) -> Path:
        """Download a model; return its path."""
        raise _elsewhere(model, "download")

    def merge_adapters(  # noqa: B027 - most engines need no merged copy
        self, model: Model, cancelled: Callable[[], bool] = bool
    ) -> None:
        """Write a copy of a model with its adapters merged, for all users of the models folder."""

    def lacks_copy(self, model: Model, *, adapters_enabled: bool) -> bool:  # noqa: ARG002
        """Return whether `prepare_copy` may make a faster copy of a loaded model."""
        return False

    def prepare_copy(
        self,
        model: Model,  # noqa: ARG002
        cancel: Cancel,  # noqa: ARG002
    ) -> Callable[[], Engine | None] | None:
        """Make a faster copy of the loaded model, which may take minutes, and test it.

        Return a function that loads it beside the current engine, or returns None if there is no memory for
        both; or None if the copy cannot be made.
        """
        return None

    def gpu_offer(self, model: Model) -> str:  # noqa: ARG002
        """Return a sentence that offers to compute a model on a GPU that is not used, or ""."""
        return ""

    def remove(self, model: Model) -> int:
        """Delete a model's downloaded files, and return the bytes freed."""
        raise _elsewhere(model, "remove")

    def verify(self, model: Model) -> bool:
        """Compare a model's files with their known digests."""
        raise _elsewhere(model, "verify")


def _elsewhere(model: Model, what: str) -> BadRequestError:
    return BadRequestError(
        f"The model {model.name} is on a remote server; there is nothing to {what} on this machine. To use a "
        "model on this machine, set another c.Turbopilot.engine.",
        field="model",
    )
