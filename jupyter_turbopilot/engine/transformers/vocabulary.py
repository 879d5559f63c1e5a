"""A checkpoint's vocabulary, read from its tokenizer's files: it needs neither the weights nor PyTorch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_turbopilot.engine.cancel import check
from jupyter_turbopilot.engine.code_points import CHARACTERS
from jupyter_turbopilot.engine.slices import rule_for, slices
from jupyter_turbopilot.engine.token_bytes import ByteTable
from jupyter_turbopilot.engine.transformers.packages import import_package
from jupyter_turbopilot.engine.transformers.tokenizer_file import read
from jupyter_turbopilot.errors import ModelRefusedError
from jupyter_turbopilot.generation import Markers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class TransformersVocabulary:
    """The tokens of a checkpoint. May be used from several threads."""

    def __init__(self, folder: Path) -> None:
        file = read(folder)
        self.table = ByteTable([*file.pieces])
        self._tokenizer = _tokenizer(file.raw)
        self.size = len(file.pieces)
        self._tokens = file.tokens
        self.specials = file.controls
        self.ends = file.ends
        self.markers = Markers(bos=file.bos)
        known = {*file.tokens.values()}
        # Models have more rows than tokens, for speed: those beyond them are no text either.
        idle = {number for number in range(self.size) if number not in known}
        self._control_ids = {*file.controls.values()}
        self.controls = np.array(sorted(self._control_ids | file.ends | idle), dtype=np.int64)
        self.unit = 1 if max(map(len, self.table.pieces), default=0) > 1 else CHARACTERS
        # Some vocabularies put a space before any text: what follows a cut is tokenized behind a newline.
        self._newline: list[int] = []
        if self.join(self.tokenize_slice("a")).startswith(b" "):
            self._newline = self._encode("\n")
        self.slice_rule = rule_for(self.tokenize_slice, lambda part: self.tokenize_slice(part, behind=True))

    def find_token(self, text: str) -> int | None:
        """Return the id of a control token by its text."""
        number = self.specials.get(text, self._tokens.get(text))
        return number if number is not None and number < self.size else None

    def piece(self, token: int) -> bytes:
        """Return a token's bytes; an IndexError where there is no such token."""
        if token < 0:
            raise IndexError(token)
        return self.table.pieces[token]

    def close(self) -> None:
        """Hold on to nothing: Python frees all of it."""

    def join(self, tokens: Sequence[int]) -> bytes:
        """Return the bytes of several tokens."""
        return b"".join(map(self.piece, tokens))

    def tokenize(self, text: str, *, behind: bool = False) -> list[int]:
        """Turn text into tokens, none of them a control token. `behind`: other text stands before it.

        The library holds the interpreter's lock for as long as a call lasts, so it gets slices.
        """
        tokens: list[int] = []
        for number, part in enumerate(slices(text, self.slice_rule)):
            if number:
                check()
            tokens += self.tokenize_slice(part, behind=behind or number > 0)
        return tokens

    def tokenize_slice(self, text: str, *, behind: bool = False) -> list[int]:
        """Turn a text into tokens in one piece."""
        tokens = self._encode(text, behind=behind)
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

    def _encode(self, text: str, *, behind: bool = False) -> list[int]:
        clean = text.encode("utf-8", "replace").decode()
        if behind and self._newline and text:
            tokens: list[int] = self._tokenizer.encode("\n" + clean, add_special_tokens=False).ids
            if tokens[: len(self._newline)] == self._newline:
                return tokens[len(self._newline) :]
        plain: list[int] = self._tokenizer.encode(clean, add_special_tokens=False).ids
        return plain


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
