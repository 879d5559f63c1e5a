"""What a checkpoint's tokenizer files say: which tokens are control tokens, which end a text, their bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.errors import ConversionError, ModelRefusedError
from jupyter_turbopilot.models.convert.config import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SPECIAL = ("bos", "eos", "unk", "pad")
# Many checkpoints list their markers as ordinary tokens. An added token that looks like one is never text.
_MARKER = re.compile(r"▁?(?:<[^<>\s]+>|\[[A-Z_]+\])")
_UNMISTAKABLE = re.compile(r"<[|｜][^<>|｜\s]+[|｜]>")  # noqa: RUF001 - the vocabulary's own
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SPACE = "▁"
# Tokens that end a text, or a file: what follows them belongs to something else.
_ENDS = (
    "<|endoftext|>", "<|end_of_text|>", "<|endofmask|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>",
    "<|file_sep|>", "<|repo_name|>", "<|fim_pad|>", "<file_sep>", "<repo_name>", "<fim_pad>", "<fim-pad>",
    "<end_of_turn>", "<eos>", "</s>", "<EOT>", "▁<EOT>", "[EOS]", "<｜end▁of▁sentence｜>",  # noqa: RUF001
)  # fmt: skip


@dataclass(frozen=True)
class TokenizerFile:
    """A tokenizer, and what is known of its tokens."""

    raw: dict[str, Any]  # what the `tokenizers` library reads, its control tokens marked as such
    tokens: dict[str, int]
    controls: dict[str, int]
    ends: frozenset[int]
    bos: int | None  # where texts begin with it
    pieces: tuple[bytes, ...]  # the bytes of each token that the model knows; none where it is no text


def read(folder: Path) -> TokenizerFile:
    """Read the tokenizer of a checkpoint, or refuse it in words."""
    try:
        return _read(folder)
    except ConversionError as error:
        raise ModelRefusedError(error.message) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelRefusedError(
            f"The tokenizer in {folder.name} is damaged ({type(error).__name__}). "
            "Replace it with the model's own."
        ) from None


def _read(folder: Path) -> TokenizerFile:
    config, generation = _maybe(folder / "config.json"), _maybe(folder / "generation_config.json")
    settings = {**_maybe(folder / "special_tokens_map.json"), **_maybe(folder / "tokenizer_config.json")}
    special = {name: _content(settings.get(f"{name}_token")) for name in _SPECIAL}
    raw = _raw(folder, {text for text in special.values() if text})
    model = raw.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    added = _entries(raw.get("added_tokens"))
    if isinstance(vocabulary, list) and all(isinstance(pair, list) and pair for pair in vocabulary):
        vocabulary = {str(pair[0]): number for number, pair in enumerate(vocabulary)}  # a text and its score
    if not isinstance(vocabulary, dict):
        raise ConversionError("tokenizer.json holds no vocabulary.")
    added_ids = {str(entry.get("content")): _number(entry.get("id")) for entry in added}
    tokens = {str(text): _number(number) for text, number in vocabulary.items()} | added_ids
    rows = _rows(config, tokens, added_ids)
    for entry in added:
        text = str(entry.get("content"))
        entry["special"] = bool(entry.get("special") or text in special.values() or _MARKER.fullmatch(text))
    controls = {
        str(entry["content"]): added_ids[str(entry["content"])] for entry in added if entry["special"]
    }
    controls |= {text: tokens[text] for text in special.values() if text in tokens}
    controls |= {text: number for text, number in tokens.items() if _UNMISTAKABLE.fullmatch(text)}
    controls = {text: number for text, number in controls.items() if number < rows}
    ends = {controls[text] for text in (special["eos"], *_ENDS) if text in controls}
    ends |= {number for each in (config, generation) for number in _numbers(each.get("eos_token_id"), rows)}
    bos = controls.get(special["bos"]) if _begins(raw, settings) else None
    pieces = [b""] * rows
    piece = _piece_reader(raw)
    for text, number in tokens.items():
        if number < rows and text not in controls:
            pieces[number] = text.encode("utf-8", "replace") if text in added_ids else piece(text)
    return TokenizerFile(raw, tokens, controls, frozenset(ends), bos, tuple(pieces))


def _raw(folder: Path, special: set[str]) -> dict[str, Any]:
    """Read tokenizer.json, or what older checkpoints have instead of it."""
    if (folder / "tokenizer.json").is_file():
        return read_json(folder / "tokenizer.json")
    if not ((folder / "vocab.json").is_file() and (folder / "merges.txt").is_file()):
        raise ConversionError(
            f"There is no tokenizer in {folder.name}: tokenizer.json, or vocab.json with merges.txt. Put the "
            "model's own there."
        )
    vocabulary = read_json(folder / "vocab.json")
    lines = (folder / "merges.txt").read_text("utf-8").splitlines()
    texts = {text: vocabulary[text] for text in special if text in vocabulary}
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": number, "content": text, "special": text in special, "normalized": False}
            | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
            for text, number in (texts | _maybe(folder / "added_tokens.json")).items()
        ],
        "pre_tokenizer": plain,
        "decoder": plain,
        "model": {
            "type": "BPE",
            "vocab": vocabulary,
            "merges": [line for line in lines if line and not line.startswith("#version")],
        },
    }


def _maybe(path: Path) -> dict[str, Any]:
    """Read settings that need not be there."""
    return read_json(path) if path.is_file() else {}


def _content(token: Any) -> str:
    """Return a token's text, which may be wrapped in its settings."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""


def _entries(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a list, if it is one."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConversionError("tokenizer.json holds a token with an impossible number.")
    return value


def _numbers(value: Any, rows: int) -> Iterator[int]:
    """List the token or the tokens that a setting names."""
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < rows:
            yield number


def _rows(config: dict[str, Any], tokens: dict[str, int], added: dict[str, int]) -> int:
    """Return how many tokens the model knows; text must have no others."""
    for part in (config, config.get("text_config")):
        rows = part.get("vocab_size") if isinstance(part, dict) else None
        if isinstance(rows, int) and not isinstance(rows, bool) and 0 < rows < 1 << 24:
            break
    else:
        raise ConversionError("config.json does not say vocab_size.")
    if any(number >= rows for text, number in tokens.items() if text not in added):
        raise ConversionError(
            f"The tokenizer has more tokens than the model's {rows}: it is another model's. Put the model's "
            "own there."
        )
    return rows


def _begins(raw: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Tell whether texts begin with a control token."""
    if isinstance(settings.get("add_bos_token"), bool):
        return bool(settings["add_bos_token"])
    for processor in _entries([raw.get("post_processor")]):
        for step in (processor, *_entries(processor.get("processors"))):
            if single := _entries(step.get("single")):
                return "SpecialToken" in single[0]
    return False


def _piece_reader(raw: dict[str, Any]) -> Callable[[str], bytes]:
    """Return what turns a token's text in the file into its bytes."""
    steps = [
        step
        for decoder in _entries([raw.get("decoder")])
        for step in (decoder, *_entries(decoder.get("decoders")))
    ]
    kinds = {str(step.get("type")) for step in steps}
    if "ByteLevel" in kinds:
        return _from_alphabet
    if kinds & {"Metaspace", "ByteFallback", "Replace"}:
        return _from_spaces
    raise ConversionError("tokenizer.json does not say which bytes its tokens stand for.")


def _from_alphabet(text: str) -> bytes:
    """Return what a text in GPT-2's alphabet of bytes stands for."""
    alphabet = _alphabet()
    return b"".join(alphabet.get(character) or character.encode("utf-8", "replace") for character in text)


def _from_spaces(text: str) -> bytes:
    """Return what a text stands for that has visible spaces and bytes by their numbers."""
    if byte := _BYTE.fullmatch(text):
        return bytes.fromhex(byte[1])
    return text.replace(_SPACE, " ").encode("utf-8", "replace")


@lru_cache(maxsize=1)
def _alphabet() -> dict[str, bytes]:
    """Return GPT-2's alphabet: visible Latin characters are themselves, the other bytes lie beyond them."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in visible]
    places = {chr(byte): bytes([byte]) for byte in visible}
    return places | {chr(256 + at): bytes([byte]) for at, byte in enumerate(others)}
