"""Reads the tokens of a checkpoint from its tokenizer's files, without PyTorch."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_turbopilot.engine.stepping.vocabulary import TableVocabulary
from jupyter_turbopilot.models.checkpoint_config import read_optional_json
from jupyter_turbopilot.models.tokenizer_json import objects, read_tokenizer, refusing_damage
from jupyter_turbopilot.plugins.transformers.packages import import_package
from jupyter_turbopilot.protocol.engine_request import Markers
from jupyter_turbopilot.protocol.errors import ConversionError, ModelRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Many checkpoints list their markers as ordinary tokens. An added token that looks like a marker is one.
_MARKER = re.compile(r"▁?(?:<[^<>\s]+>|\[[A-Z_]+\])")
_UNMISTAKABLE = re.compile(r"<[|｜][^<>|｜\s]+[|｜]>")  # noqa: RUF001 - part of some vocabularies
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SPACE = "▁"
# Tokens that end a text or a file.
_ENDS = (
    "<|endoftext|>", "<|end_of_text|>", "<|endofmask|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>",
    "<|file_sep|>", "<|repo_name|>", "<|fim_pad|>", "<file_sep>", "<repo_name>", "<fim_pad>", "<fim-pad>",
    "<end_of_turn>", "<eos>", "</s>", "<EOT>", "▁<EOT>", "[EOS]", "<｜end▁of▁sentence｜>",  # noqa: RUF001
)  # fmt: skip


@dataclass(frozen=True)
class TokenizerFile:
    """A tokenizer and the kinds of its tokens."""

    raw: dict[str, Any]  # the input for the `tokenizers` library, with control tokens marked as special
    tokens: dict[str, int]
    controls: dict[str, int]
    ends: frozenset[int]
    bos: int | None  # the token to put before each text
    pieces: tuple[bytes, ...]  # the bytes of each of the model's tokens; empty for control tokens


def read_tokens(folder: Path) -> TokenizerFile:
    """Read the tokenizer of a checkpoint; raise ModelRefusedError if it is invalid."""
    try:
        with refusing_damage(folder):
            return _read_tokens(folder)
    except ConversionError as error:
        raise ModelRefusedError(error.message) from None


def _read_tokens(folder: Path) -> TokenizerFile:
    config = read_optional_json(folder / "config.json")
    generation = read_optional_json(folder / "generation_config.json")
    found = read_tokenizer(folder)
    special = found.special
    added = {entry["content"]: entry["id"] for entry in found.added}
    tokens = found.vocabulary | added
    rows = _rows(config, tokens, added)
    for entry in found.added:
        text = entry["content"]
        entry["special"] = bool(entry.get("special") or text in special.values() or _MARKER.fullmatch(text))
    controls = {entry["content"]: entry["id"] for entry in found.added if entry["special"]}
    controls |= {text: tokens[text] for text in special.values() if text in tokens}
    controls |= {text: number for text, number in tokens.items() if _UNMISTAKABLE.fullmatch(text)}
    controls = {text: number for text, number in controls.items() if number < rows}
    ends = {controls[text] for text in (special["eos"], *_ENDS) if text in controls}
    ends |= {number for each in (config, generation) for number in _numbers(each.get("eos_token_id"), rows)}
    bos = controls.get(special["bos"]) if found.adds_bos else None
    pieces = [b""] * rows
    piece = _piece_reader(found.raw)
    for text, number in tokens.items():
        if number < rows and text not in controls:
            pieces[number] = text.encode("utf-8", "replace") if text in added else piece(text)
    return TokenizerFile(found.raw, tokens, controls, frozenset(ends), bos, tuple(pieces))


def _numbers(value: Any, rows: int) -> Iterator[int]:
    """Yield the valid token ids in a setting, which is an id or a list."""
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < rows:
            yield number


def _rows(config: dict[str, Any], tokens: dict[str, int], added: dict[str, int]) -> int:
    """Return the number of tokens of the model; raise ConversionError if the tokenizer has more."""
    for part in (config, config.get("text_config")):
        rows = part.get("vocab_size") if isinstance(part, dict) else None
        if isinstance(rows, int) and not isinstance(rows, bool) and 0 < rows < 1 << 24:
            break
    else:
        raise ConversionError("config.json lacks a valid vocab_size. Download the checkpoint again.")
    if any(number >= rows for text, number in tokens.items() if text not in added):
        raise ConversionError(
            f"The tokenizer belongs to another model: it has more tokens than the model's {rows}. Replace it "
            "with the model's own."
        )
    return rows


def _piece_reader(raw: dict[str, Any]) -> Callable[[str], bytes]:
    """Return the function that converts a token's text in the file to bytes."""
    steps = [
        step
        for decoder in objects([raw.get("decoder")])
        for step in (decoder, *objects(decoder.get("decoders")))
    ]
    kinds = {str(step.get("type")) for step in steps}
    if "ByteLevel" in kinds:
        return _from_alphabet
    if kinds & {"Metaspace", "ByteFallback", "Replace"}:
        return _from_spaces
    raise ConversionError(
        "tokenizer.json has a decoder that is not supported, so the bytes of its tokens are unknown. Choose "
        "another checkpoint."
    )


def _from_alphabet(text: str) -> bytes:
    """Decode a text in GPT-2's byte alphabet."""
    alphabet = _alphabet()
    return b"".join(alphabet.get(character) or character.encode("utf-8", "replace") for character in text)


def _from_spaces(text: str) -> bytes:
    """Decode a text with `▁` for spaces and `<0x0A>` for single bytes."""
    if byte := _BYTE.fullmatch(text):
        return bytes.fromhex(byte[1])
    return text.replace(_SPACE, " ").encode("utf-8", "replace")


@lru_cache(maxsize=1)
def _alphabet() -> dict[str, bytes]:
    """Return GPT-2's byte alphabet. Printable bytes are themselves, the others U+0100 and up."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in visible]
    alphabet = {chr(byte): bytes([byte]) for byte in visible}
    return alphabet | {chr(256 + at): bytes([byte]) for at, byte in enumerate(others)}


class TransformersVocabulary(TableVocabulary):
    """The tokens of a checkpoint. It is thread-safe.

    The library holds the GIL during a call, so it gets one slice of text at a time.
    """

    def __init__(self, folder: Path) -> None:
        file = read_tokens(folder)
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
