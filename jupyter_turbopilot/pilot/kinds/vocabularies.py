"""The vocabularies that this process holds for models that compute elsewhere."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from jupyter_turbopilot.engine.vocabulary import Vocabulary
from jupyter_turbopilot.models.gguf import stamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class OwnVocabulary(Vocabulary, Protocol):
    """A vocabulary whose memory can be freed."""

    def close(self) -> None:
        """Free its memory; whoever uses it still gets an error."""


class LatestVocabulary:
    """The vocabulary that was loaded last, which serves again when its model is loaded again."""

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
