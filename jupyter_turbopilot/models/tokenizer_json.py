"""A checkpoint's tokenizer files, in either layout, for the converter and the transformers engine."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.models.checkpoint_config import read_json, read_optional_json
from jupyter_turbopilot.protocol.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SPECIAL = ("bos", "eos", "unk", "pad")


@dataclass(frozen=True)
class TokenizerJson:
    """The content of tokenizer.json and the related settings."""

    raw: dict[str, Any]
    vocabulary: dict[str, int]  # token ids by text
    added: list[dict[str, Any]]  # the objects in `raw`, each with a text and a valid id
    special: dict[str, str]  # texts of the tokens bos, eos, unk and pad; empty if not set
    adds_bos: bool  # whether the token bos is prepended to a text


@contextmanager
def refusing_damage(folder: Path) -> Iterator[None]:
    """Raise errors about values of an unexpected type as ConversionError."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConversionError(
            f"The tokenizer in {folder.name} is damaged ({type(error).__name__}). "
            "Replace it with the model's own."
        ) from None


def read_tokenizer(folder: Path) -> TokenizerJson:
    """Read tokenizer.json, or the files of older checkpoints."""
    settings = {
        **read_optional_json(folder / "special_tokens_map.json"),
        **read_optional_json(folder / "tokenizer_config.json"),
    }
    special = {name: _content(settings.get(f"{name}_token")) for name in _SPECIAL}
    if (folder / "tokenizer.json").is_file():
        raw = read_json(folder / "tokenizer.json")
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        raw = _from_lists(folder, {text for text in special.values() if text})
    else:
        raise ConversionError(
            f"There is no tokenizer in {folder.name}: tokenizer.json, or vocab.json with merges.txt. Put the "
            "model's own there, or pass another one to `models convert` with --tokenizer."
        )
    added = [entry for entry in raw.get("added_tokens") or [] if isinstance(entry, dict)]
    for entry in added:
        entry["content"] = str(entry["content"])
        entry["id"] = _number(entry["content"], entry.get("id"))
    return TokenizerJson(raw, _vocabulary(raw.get("model")), added, special, _adds_bos(raw, settings))


def _from_lists(folder: Path, special: set[str]) -> dict[str, Any]:
    """Return the equivalent of tokenizer.json for GPT-2's layout: a vocabulary, merges and added tokens."""
    vocabulary = read_json(folder / "vocab.json")
    lines = (folder / "merges.txt").read_text("utf-8").splitlines()
    added = {text: vocabulary[text] for text in special if text in vocabulary}
    added |= read_optional_json(folder / "added_tokens.json")
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": number, "content": text, "special": text in special, "normalized": False}
            | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
            for text, number in added.items()
        ],
        "pre_tokenizer": plain,
        "decoder": plain,
        "model": {
            "type": "BPE",
            "vocab": vocabulary,
            "merges": [line for line in lines if line and not line.startswith("#version")],
        },
    }


def _vocabulary(model: Any) -> dict[str, int]:
    given = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(given, list) and all(isinstance(pair, list) and pair for pair in given):
        given = {str(pair[0]): number for number, pair in enumerate(given)}  # a text and its score
    if not isinstance(given, dict):
        raise ConversionError("tokenizer.json contains no vocabulary.")
    return {text: _number(text, number) for text, number in given.items()}


def _adds_bos(raw: dict[str, Any], settings: dict[str, Any]) -> bool:
    if isinstance(settings.get("add_bos_token"), bool):
        return bool(settings["add_bos_token"])
    for processor in objects([raw.get("post_processor")]):
        for step in (processor, *objects(processor.get("processors"))):
            if single := objects(step.get("single")):
                return "SpecialToken" in single[0]
    return False


def objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _content(token: Any) -> str:
    """Return a token's text; the token may be an object with settings."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""


def _number(text: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConversionError(f"The token {text[:40]!r} has an invalid id.")
    return value
