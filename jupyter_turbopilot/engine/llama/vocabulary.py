"""The vocabulary of a model in llama.cpp: its tokenizer, the bytes of its tokens, its control tokens."""

from __future__ import annotations

import ctypes
import re
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_turbopilot.engine.llama.bindings import NO_DEVICES, bindings
from jupyter_turbopilot.engine.stepping.vocabulary import TableVocabulary
from jupyter_turbopilot.protocol.engine_request import Markers
from jupyter_turbopilot.protocol.errors import EngineError
from jupyter_turbopilot.util.failures import on_failure

if TYPE_CHECKING:
    import types
    from collections.abc import Sequence
    from pathlib import Path

_NO_TOKEN = -1
STAND_IN = "\x1a"  # the unknown token of some character-level vocabularies


class LlamaVocabulary(TableVocabulary):
    """The vocabulary of a loaded model. `tokenize` is thread-safe; `close` waits for running calls."""

    def __init__(self, lib: types.ModuleType, model: Any, *, owner: bool = False) -> None:
        """`owner`: whether `close` frees the model."""
        self._lib = lib
        self._owned = model if owner else None
        self._lock = threading.Lock()
        self._open = True
        self.handle = lib.llama_model_get_vocab(model)
        self.markers = self._read_markers()
        pieces = self._read_pieces()
        self._unknown = unknown_characters(pieces)
        super().__init__(pieces)
        self.ends = {t for t in range(self.size) if lib.llama_vocab_is_eog(self.handle, t)}
        # An unknown token cannot be shown, so a text ends before it.
        unknown = [pieces.index(STAND_IN.encode())] if self._unknown else []
        self.ends.update(unknown)
        controls = [t for t in range(self.size) if lib.llama_vocab_is_control(self.handle, t)]
        self.controls = np.array([*unknown, *controls], dtype=np.int64)
        texts = {t: lib.llama_vocab_get_text(self.handle, t) or b"" for t in controls}
        self.specials = {text.decode("utf-8", "replace"): token for token, text in texts.items() if text}

    def _read_markers(self) -> Markers:
        lib, handle = self._lib, self.handle

        def known(token: int) -> int | None:
            return token if token != _NO_TOKEN else None

        return Markers(
            prefix=known(lib.llama_vocab_fim_pre(handle)),
            suffix=known(lib.llama_vocab_fim_suf(handle)),
            middle=known(lib.llama_vocab_fim_mid(handle)),
            bos=known(lib.llama_vocab_bos(handle)) if lib.llama_vocab_get_add_bos(handle) else None,
        )

    def _read_pieces(self) -> list[bytes]:
        lib, handle = self._lib, self.handle
        size = 64
        buffer = ctypes.create_string_buffer(size)
        pieces = []
        for token in range(int(lib.llama_vocab_n_tokens(handle))):
            length = lib.llama_token_to_piece(handle, token, buffer, size, 0, False)  # noqa: FBT003
            if length < 0:  # the buffer is too small: the size that is needed, negated
                size = -length
                buffer = ctypes.create_string_buffer(size)
                length = lib.llama_token_to_piece(handle, token, buffer, size, 0, False)  # noqa: FBT003
            pieces.append(buffer.raw[:length])
        return pieces

    def find_token(self, text: str) -> int | None:
        data = text.encode()
        buffer = (ctypes.c_int32 * 4)()
        return int(buffer[0]) if self._tokenize(data, buffer, special=True) == 1 else None

    def encode(self, text: str) -> list[int]:
        if self._unknown:
            text = self._unknown.sub(STAND_IN, text)
        data = text.encode("utf-8", "replace")
        most = len(data) + 8
        buffer = (ctypes.c_int32 * most)()
        count = self._tokenize(data, buffer, special=False)
        if count < 0:
            raise EngineError("llama.cpp could not tokenize the text. Try again, or choose another model.")
        return list(buffer[:count])

    def _tokenize(self, data: bytes, buffer: ctypes.Array[ctypes.c_int32], *, special: bool) -> int:
        """Write tokens to a buffer and return their number; `special`: recognize control tokens."""
        with self._lock:
            if not self._open:
                raise EngineError("The model has just been changed. Try again.")
            size = len(buffer)
            count = self._lib.llama_tokenize(self.handle, data, len(data), buffer, size, False, special)  # noqa: FBT003
        return int(count)

    def close(self) -> None:
        """Reject further calls, because the model is about to be freed."""
        with self._lock:
            self._open = False
            model, self._owned = self._owned, None
        if model:
            self._lib.llama_model_free(model)


def load_vocabulary(path: Path) -> LlamaVocabulary:
    """Load the vocabulary of a GGUF file without its weights; `close` frees it.

    llama.cpp aborts the process for some damaged files. Load only files that another process has loaded.
    """
    lib = bindings()
    parameters = lib.llama_model_default_params()
    parameters.vocab_only = True
    parameters.devices = NO_DEVICES  # otherwise llama.cpp takes memory of a GPU
    model = lib.llama_model_load_from_file(str(path).encode(), parameters)
    if not model:
        raise EngineError(f"llama.cpp could not read the vocabulary of {path.name}.")
    with on_failure(partial(lib.llama_model_free, model)):
        return LlamaVocabulary(lib, model, owner=True)


def unknown_characters(pieces: Sequence[bytes]) -> re.Pattern[str] | None:
    """Return a pattern for the characters that a character-level vocabulary lacks and llama.cpp drops."""
    if max(map(len, pieces), default=0) > 1 or any(piece > b"\x7f" for piece in pieces):
        return None
    known = "".join(piece.decode() for piece in pieces)
    return re.compile(f"[^{re.escape(known)}]") if STAND_IN in known else None
