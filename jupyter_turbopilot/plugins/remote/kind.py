"""A remote server: the vocabulary of its model, and its diagnosis."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.kind import EngineKind, load_kind
from jupyter_turbopilot.engine.vocabulary import Vocabulary
from jupyter_turbopilot.models.catalog import catalog, find
from jupyter_turbopilot.models.findings import Finding
from jupyter_turbopilot.models.gguf import read_header, stamp
from jupyter_turbopilot.models.model import Model
from jupyter_turbopilot.models.store import Stored, unavailable
from jupyter_turbopilot.plugins.remote.address import read_address
from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote
from jupyter_turbopilot.plugins.remote.vocabulary import CodePoints
from jupyter_turbopilot.protocol.errors import NotReadyError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_turbopilot.models.store import Store
    from jupyter_turbopilot.plugins.remote.engine import RemoteEngine
    from jupyter_turbopilot.settings.config import Turbopilot


class OwnVocabulary(Vocabulary, Protocol):
    """A vocabulary whose memory can be freed."""

    def close(self) -> None:
        """Free its memory; later uses raise an error."""


class LatestVocabulary:
    """The last loaded vocabulary of a remote model, reused while the model is the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key = ""
        self._vocabulary: OwnVocabulary | None = None

    def of(self, path: Path, load: Callable[[Path], OwnVocabulary]) -> OwnVocabulary:
        """Return the vocabulary of a file or folder; a previous one is freed."""
        key = f"{path}|{stamp(path)}"
        with self._lock:
            if self._vocabulary is None or key != self._key:
                before, self._vocabulary = self._vocabulary, load(path)
                self._key = key
                if before:
                    before.close()
            return self._vocabulary


class RemoteKind(EngineKind):
    """Uses the model of a remote server."""

    def __init__(self, settings: Turbopilot, store: Store) -> None:
        super().__init__(settings, store)
        self._vocabulary = LatestVocabulary()
        self._name = settings.section(TurbopilotRemote).model  # the server's model, once known

    @property
    def address(self) -> str:
        """The host that code is sent to, for display; empty if the settings are invalid."""
        remote = self.settings.section(TurbopilotRemote)
        try:
            return read_address(remote.url, allow_http=remote.allow_http).host
        except TurbopilotError:
            return ""

    def find(self, spec: str) -> Model:  # noqa: ARG002 - there is only one
        """Return the server's model."""
        name = self._name or self.address or "no server is set"
        model = Model(name=name, file="", engine="remote")
        known = _known(self._name)
        return replace(model, licence=known.licence) if known else model

    def models(self, selected: str) -> list[Model]:
        """List the server's model."""
        return [self.find(selected)]

    def stored(self, model: Model) -> Stored | None:
        """Return an empty record: no file has to be on disk."""
        return Stored(Path(), 0, None, verified=True, source=model.name)

    def load(self, model: Model, cancel: Cancel, *, adapters_enabled: bool) -> RemoteEngine:  # noqa: ARG002
        """Connect to the server, or raise the error."""
        from jupyter_turbopilot.plugins.remote.loading import load

        engine = load(self.settings, cancel, self._vocabulary_of)
        self._name = engine.name
        return engine

    def _vocabulary_of(self, model: str) -> Vocabulary | None:
        """Return the vocabulary of the server's model; None if it is not available here."""
        wanted = self.settings.section(TurbopilotRemote).vocabulary
        if wanted == "none":
            return None
        if wanted != "auto":
            return self._load_vocabulary(wanted)
        known = _known(model)
        return self._load_vocabulary(known.name) if known and self.store.has(known) else None

    def _load_vocabulary(self, spec: str) -> Vocabulary:
        """Load the vocabulary from a folder with a tokenizer, or from a GGUF file."""
        kind: Any  # a local engine loads a vocabulary without the model's weights
        folder = Path(spec).expanduser()
        if folder.is_dir():
            kind = load_kind("transformers")
            return self._vocabulary.of(folder, kind.load_vocabulary)
        model = find(spec)
        if not self.store.has(model):
            error = unavailable(model, self.store.stored(model), "remote")
            raise NotReadyError(
                "The vocabulary is missing. Set c.TurbopilotRemote.vocabulary to a smaller model of the same "
                f"family or to the folder of a tokenizer, or use this file: {error.message}",
                code=error.code,
            )
        path = self.store.path(model)
        read_header(path)  # first: llama.cpp aborts the process on some damaged files
        kind = load_kind("llama")
        return self._vocabulary.of(path, kind.load_vocabulary)

    def examine(self) -> Iterator[Finding]:
        """Report which server responds, its model, and how prompts are sent."""
        try:
            engine = self.load(self.find(""), Cancel(), adapters_enabled=False)
        except TurbopilotError as error:
            yield Finding("engine", error.message, problem=True)
            return
        engine.close()
        yield Finding("engine", f"{engine.kind} at {self.address}, model {engine.name or 'unknown'}")
        yield Finding(
            "vocabulary",
            "not available: prompts are sent as text. Set c.TurbopilotRemote.vocabulary to change this"
            if isinstance(engine.vocabulary, CodePoints)
            else "available: prompts are sent as token ids",
        )


def _known(name: str) -> Model | None:
    """Return the catalogue model that a server's model name refers to, by its name or its file's."""
    called = name.replace("\\", "/").rpartition("/")[2]
    return next((one for one in catalog().values() if called and called in {one.name, one.file}), None)
