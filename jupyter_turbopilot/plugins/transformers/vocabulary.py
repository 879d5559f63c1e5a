"""The vocabulary of a checkpoint, which needs only the tokenizer's files and not PyTorch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_turbopilot.engine.stepping.vocabulary import TableVocabulary
from jupyter_turbopilot.plugins.transformers.packages import import_package
from jupyter_turbopilot.plugins.transformers.tokenizer_file import read
from jupyter_turbopilot.protocol.engine_request import Markers
from jupyter_turbopilot.protocol.errors import ModelRefusedError

if TYPE_CHECKING:
    from pathlib import Path


class TransformersVocabulary(TableVocabulary):
    """The tokens of a checkpoint. It is thread-safe.

    The library holds the GIL during a call, so it gets one slice of text at a time.
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
        # Many models have more rows than tokens, for speed. These must not be generated either.
        padding = {number for number in range(self.size) if number not in known}
        self.controls = np.array(sorted(self._control_ids | file.ends | padding), dtype=np.int64)

    def find_token(self, text: str) -> int | None:
        number = self.specials.get(text, self._tokens.get(text))
        return number if number is not None and number < self.size else None

    def close(self) -> None:
        """Do nothing: Python frees the memory."""

    def tokenize_slice(self, text: str, *, continues: bool = False) -> list[int]:
        """Tokenize a slice without control tokens."""
        tokens = super().tokenize_slice(text, continues=continues)
        if self._control_ids.isdisjoint(tokens):
            return tokens
        # Some vocabularies contain control tokens as words, and some lack characters.
        if len(text) == 1:
            return [token for token in tokens if token not in self._control_ids]
        middle = len(text) // 2
        return [
            *self.tokenize_slice(text[:middle], continues=continues),
            *self.tokenize_slice(text[middle:], continues=True),
        ]

    def encode(self, text: str) -> list[int]:
        clean = text.encode("utf-8", "replace").decode()
        tokens: list[int] = self._tokenizer.encode(clean, add_special_tokens=False).ids
        return tokens


def _tokenizer(raw: dict[str, Any]) -> Any:
    """Return the library's tokenizer; control tokens in a text are tokenized as text."""
    library = import_package("tokenizers")
    try:
        tokenizer = library.Tokenizer.from_str(json.dumps(raw))
    except Exception as error:  # noqa: BLE001 - the library raises bare exceptions
        reason = str(error)[:200]
        raise ModelRefusedError(
            f"tokenizer.json is damaged, or newer than the installed tokenizers ({reason}). Update "
            "tokenizers, or download the checkpoint again."
        ) from None
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
