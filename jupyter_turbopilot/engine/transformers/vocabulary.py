"""A checkpoint's vocabulary, read from its tokenizer's files: it needs neither the weights nor PyTorch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_turbopilot.engine.stepping.vocabulary import TableVocabulary
from jupyter_turbopilot.engine.transformers.packages import import_package
from jupyter_turbopilot.engine.transformers.tokenizer_file import read
from jupyter_turbopilot.errors import ModelRefusedError
from jupyter_turbopilot.generation import Markers

if TYPE_CHECKING:
    from pathlib import Path


class TransformersVocabulary(TableVocabulary):
    """The tokens of a checkpoint. May be used from several threads.

    The library holds the interpreter's lock for as long as a call lasts, so it gets slices.
    """

    def __init__(self, folder: Path) -> None:
        file = read(folder)
        self._tokenizer = _tokenizer(file.raw)
        self._control_ids = {*file.controls.values()}
        super().__init__(file.pieces)
        self._tokens = file.tokens
        self.specials = file.controls
        self.ends = file.ends
        self.markers = Markers(bos=file.bos)
        known = {*file.tokens.values()}
        # Models have more rows than tokens, for speed: those beyond them are no text either.
        idle = {number for number in range(self.size) if number not in known}
        self.controls = np.array(sorted(self._control_ids | file.ends | idle), dtype=np.int64)

    def find_token(self, text: str) -> int | None:
        """Return the id of a control token by its text."""
        number = self.specials.get(text, self._tokens.get(text))
        return number if number is not None and number < self.size else None

    def close(self) -> None:
        """Hold on to nothing: Python frees all of it."""

    def tokenize_slice(self, text: str, *, behind: bool = False) -> list[int]:
        """Turn a text into tokens in one piece."""
        tokens = super().tokenize_slice(text, behind=behind)
        if self._control_ids.isdisjoint(tokens):
            return tokens
        # A few vocabularies hold control tokens as words, and some lack characters.
        if len(text) == 1:
            return [token for token in tokens if token not in self._control_ids]
        middle = len(text) // 2
        return [
            *self.tokenize_slice(text[:middle], behind=behind),
            *self.tokenize_slice(text[middle:], behind=True),
        ]

    def encode(self, text: str) -> list[int]:
        """Turn a text into tokens as if it stood alone."""
        clean = text.encode("utf-8", "replace").decode()
        tokens: list[int] = self._tokenizer.encode(clean, add_special_tokens=False).ids
        return tokens


def _tokenizer(raw: dict[str, Any]) -> Any:
    """Return the library's tokenizer, to which control tokens in a text are text."""
    library = import_package("tokenizers")
    try:
        tokenizer = library.Tokenizer.from_str(json.dumps(raw))
    except Exception as error:  # noqa: BLE001 - the library raises its own, without a class
        reason = str(error)[:200]
        raise ModelRefusedError(f"The tokenizer is damaged, or newer than the library: {reason}") from None
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
