"""llama.cpp through its low-level API: the only importer of llama_cpp."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_turbopilot.engine.base import Markers
from jupyter_turbopilot.engine.bytetable import ByteTable
from jupyter_turbopilot.engine.generation import Sampling, Token, Usage
from jupyter_turbopilot.engine.sampling import choose
from jupyter_turbopilot.errors import EngineError, NotReadyError

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jupyter_turbopilot.engine.cancel import Cancel

BATCH = 128
INSTALL = "python -m pip install llama-cpp-python"
_NONE = -1
_ABORTED = 2
_quiet: list[Any] = []  # keeps the log callback alive for as long as llama.cpp may call it


def bindings() -> types.ModuleType:
    """Import llama_cpp, or say what is missing and what to run."""
    try:
        import llama_cpp
    except ModuleNotFoundError as error:
        if error.name != "llama_cpp":
            raise NotReadyError(f"Engine broken: {error}. Run: {INSTALL}", code="engine_missing") from None
        raise NotReadyError(f"Engine missing. Run: {INSTALL}", code="engine_missing") from None
    except Exception as error:  # noqa: BLE001 - a broken native library raises whatever it likes
        broken = NotReadyError(
            f"Engine broken ({type(error).__name__}). Run: {INSTALL} --force-reinstall", code="engine_missing"
        )
        broken.hint = str(error)
        raise broken from None
    if not _quiet:
        callback = llama_cpp.llama_log_callback(lambda _level, _text, _data: None)
        _quiet.append(callback)
        llama_cpp.llama_log_set(callback, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
    module: types.ModuleType = llama_cpp
    return module


def version() -> str:
    """Return the version of the bindings."""
    return str(bindings().__version__)


def instruction_sets() -> str:
    """Return what the native library was built to use."""
    text: bytes = bindings().llama_print_system_info()
    return text.decode().strip(" |")


class _AbortFlag:
    """A flag llama.cpp polls without Python: libc's strlen of a buffer that is empty until it is raised."""

    def __init__(self, lib: types.ModuleType) -> None:
        self.buffer = ctypes.create_string_buffer(2)
        libc = ctypes.CDLL("msvcrt" if sys.platform == "win32" else ctypes.util.find_library("c"))
        kind = lib.ggml_abort_callback
        self.callback = ctypes.cast(libc.strlen, kind)
        self.data = ctypes.cast(self.buffer, ctypes.c_void_p)

    def raise_(self) -> None:
        self.buffer[0] = b"\1"

    def lower(self) -> None:
        self.buffer[0] = b"\0"


class LlamaEngine:
    """One model, one context, one sequence whose tokens are kept from request to request."""

    def __init__(self, path: Path, *, name: str, context_size: int, threads: int, fim: str = "auto") -> None:
        self._lib = lib = bindings()
        self._model = self._context = None
        self.name = name
        self.fim = fim
        parameters = lib.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self._model = lib.llama_model_load_from_file(str(path).encode(), parameters)
        if not self._model:
            raise EngineError(f"llama.cpp could not load {path.name}: it does not know this kind of model.")
        self._abort = _AbortFlag(lib)
        self._context = self._new_context(context_size, threads)
        if not self._context:
            self.close()
            raise EngineError(f"llama.cpp could not make room for {context_size} tokens with {path.name}.")
        lib.llama_set_abort_callback(self._context, self._abort.callback, self._abort.data)
        self._memory = lib.llama_get_memory(self._context)
        self._vocab = lib.llama_model_get_vocab(self._model)
        self._vocab_size = int(lib.llama_vocab_n_tokens(self._vocab))
        self.context_size = int(lib.llama_n_ctx_seq(self._context))
        self.markers = self._read_markers()
        self._table = ByteTable(self._pieces())
        self._ends = {t for t in range(self._vocab_size) if lib.llama_vocab_is_eog(self._vocab, t)}
        self._controls = np.array(
            [t for t in range(self._vocab_size) if lib.llama_vocab_is_control(self._vocab, t)], dtype=np.int64
        )
        self._batch = lib.llama_batch_init(BATCH, 0, 1)
        self._held: list[int] = []  # the tokens whose keys and values the context holds

    def _new_context(self, context_size: int, threads: int) -> Any:
        lib = self._lib
        parameters = lib.llama_context_default_params()
        parameters.n_ctx = context_size
        parameters.n_batch = parameters.n_ubatch = BATCH
        parameters.n_seq_max = 1
        parameters.n_outputs_max = 1  # one row of logits, not a row per token of a batch
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_AUTO
        return lib.llama_init_from_model(self._model, parameters)

    def _read_markers(self) -> Markers:
        lib, vocab = self._lib, self._vocab

        def known(token: int) -> int | None:
            return token if token != _NONE else None

        return Markers(
            prefix=known(lib.llama_vocab_fim_pre(vocab)),
            suffix=known(lib.llama_vocab_fim_suf(vocab)),
            middle=known(lib.llama_vocab_fim_mid(vocab)),
            bos=known(lib.llama_vocab_bos(vocab)) if lib.llama_vocab_get_add_bos(vocab) else None,
        )

    def _pieces(self) -> list[bytes]:
        lib, vocab = self._lib, self._vocab
        size = 64
        buffer = ctypes.create_string_buffer(size)
        pieces = []
        for token in range(self._vocab_size):
            length = lib.llama_token_to_piece(vocab, token, buffer, size, 0, False)  # noqa: FBT003
            if length < 0:  # longer than the buffer: its size is the answer's opposite
                size = -length
                buffer = ctypes.create_string_buffer(size)
                length = lib.llama_token_to_piece(vocab, token, buffer, size, 0, False)  # noqa: FBT003
            pieces.append(buffer.raw[:length])
        return pieces

    def find_token(self, text: str) -> int | None:
        """Return the id of a control token by its text."""
        wanted = text.encode()
        buffer = (ctypes.c_int32 * 4)()
        count = self._lib.llama_tokenize(self._vocab, wanted, len(wanted), buffer, 4, False, True)  # noqa: FBT003
        return int(buffer[0]) if count == 1 else None

    def tokenize(self, text: str) -> list[int]:
        """Turn text into tokens; nothing in it becomes a control token."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        buffer = (ctypes.c_int32 * room)()
        count = self._lib.llama_tokenize(self._vocab, data, len(data), buffer, room, False, False)  # noqa: FBT003
        if count < 0:
            raise EngineError("llama.cpp could not read the text.")
        return list(buffer[:count])

    def piece(self, token: int) -> bytes:
        """Return a token's bytes."""
        return self._table.pieces[token]

    def generate(
        self, prompt: Sequence[int], sampling: Sampling, usage: Usage, cancel: Cancel
    ) -> Iterator[Token]:
        """Yield tokens until the model ends, `max_tokens`, or `cancel`."""
        if not 0 < len(prompt) < self.context_size:
            raise EngineError(f"A prompt of {len(prompt)} tokens does not fit {self.context_size}.")
        self._abort.lower()
        with cancel.interrupting(self._abort.raise_):
            yield from self._generate(list(prompt), sampling, usage, cancel)

    def _generate(
        self, prompt: list[int], sampling: Sampling, usage: Usage, cancel: Cancel
    ) -> Iterator[Token]:
        started = time.perf_counter()
        usage.prompt_tokens = len(prompt)
        usage.cached_tokens = keep = self._reuse(prompt)
        while keep < len(prompt):
            if cancel.is_set() or not self._decode(prompt[keep : keep + BATCH]):
                usage.prompt_ms = (time.perf_counter() - started) * 1000
                return
            keep += BATCH
        usage.prompt_ms = (time.perf_counter() - started) * 1000
        started = time.perf_counter()
        rng = np.random.default_rng(sampling.seed) if sampling.temperature > 0 else None
        forced = sampling.forced
        limit = min(sampling.max_tokens, self.context_size - len(prompt))
        for number in range(limit):
            if cancel.is_set():
                return
            allowed = self._table.compatible(forced) if forced else None
            token, probability = choose(self._logits(), sampling, rng, self._controls, self._ends, allowed)
            usage.predicted_tokens = number + 1
            usage.predicted_ms = (time.perf_counter() - started) * 1000
            if token in self._ends:
                return
            data = self._table.pieces[token]
            known = min(len(forced), len(data))
            forced = forced[known:]
            # What was typed already is not said again, and says nothing about how sure the model is.
            yield Token(data[known:], 1.0 if known == len(data) else probability)
            if number + 1 < limit and not self._decode([token]):
                return

    def _reuse(self, prompt: list[int]) -> int:
        """Keep the held tokens that the prompt begins with, drop the others; return how many were kept."""
        keep = 0
        # The last token is always read again: its row of logits is what the answer starts from.
        for held, wanted in zip(self._held, prompt[:-1], strict=False):
            if held != wanted:
                break
            keep += 1
        if keep < len(self._held) and not self._lib.llama_memory_seq_rm(self._memory, 0, keep, -1):
            keep = 0  # a recurrent model cannot forget in part
            self._lib.llama_memory_clear(self._memory, True)  # noqa: FBT003
        del self._held[keep:]
        return keep

    def _decode(self, tokens: list[int]) -> bool:
        """Evaluate tokens at the end of the sequence; False when it was aborted."""
        batch, start = self._batch, len(self._held)
        batch.n_tokens = len(tokens)
        for index, token in enumerate(tokens):
            batch.token[index] = token
            batch.pos[index] = start + index
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = 0
            batch.logits[index] = 0
        batch.logits[len(tokens) - 1] = 1
        code = self._lib.llama_decode(self._context, batch)
        if code == 0:
            self._held.extend(tokens)
            return True
        # What an aborted batch left behind is only known to the context itself.
        self._held.extend(tokens)
        del self._held[self._lib.llama_memory_seq_pos_max(self._memory, 0) + 1 :]
        if code == _ABORTED:
            return False
        self._held.clear()
        self._lib.llama_memory_clear(self._memory, True)  # noqa: FBT003
        raise EngineError(f"llama.cpp failed with code {code}.")

    def _logits(self) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        row = self._lib.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(row, shape=(self._vocab_size,))

    def close(self) -> None:
        """Give the memory back."""
        lib = self._lib
        with suppress(AttributeError):
            lib.llama_batch_free(self._batch)
            del self._batch
        if self._context:
            lib.llama_free(self._context)
            self._context = None
        if self._model:
            lib.llama_model_free(self._model)
            self._model = None
