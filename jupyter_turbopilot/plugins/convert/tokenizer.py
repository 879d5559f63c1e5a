"""Convert a Hugging Face tokenizer to llama.cpp's terms; refuse those that would tokenize differently."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.models.checkpoint_config import read_optional_json
from jupyter_turbopilot.models.tokenizer_json import read_tokenizer, refusing_damage
from jupyter_turbopilot.protocol.errors import ConversionError

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_turbopilot.models.tokenizer_json import TokenizerJson

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# The pre-tokenizers, and llama.cpp's names for them.
_PRE_TOKENIZERS: dict[tuple[str, ...], str] = {
    ("bytes",): "gpt-2",
    ("digits", "bytes"): "refact",
    (_WORDS % "", "plain bytes"): "qwen2",
    (_WORDS % "{1,3}", "plain bytes"): "llama-bpe",
    (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", "digits", "plain bytes"): "deepseek-coder",
}


@dataclass
class Vocabulary:
    """The tokens by id, and the rules that turn text into tokens."""

    kind: str  # "gpt2": merges of bytes; "llama": merges of characters by score
    cut: str
    tokens: list[str]
    types: list[int]
    merges: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    special: dict[str, int] = field(default_factory=dict)
    add_bos: bool = False
    add_space: bool = False


def read(folder: Path, rows: int) -> Vocabulary:
    """Read a folder's tokenizer for an embedding with `rows` rows."""
    with refusing_damage(folder):
        found = read_tokenizer(folder)
        vocabulary = _convert(found, rows)
        _set_special_tokens(vocabulary, found.special, read_optional_json(folder / "config.json"))
        "".join(vocabulary.tokens + vocabulary.merges).encode()  # JSON may contain half of a surrogate pair
    return vocabulary


def _convert(found: TokenizerJson, rows: int) -> Vocabulary:
    raw, model = found.raw, found.raw["model"]
    kind = model.get("type", "BPE")
    if kind != "BPE":
        raise ConversionError(f"A tokenizer of type {kind} is not supported. Supported: BPE.")
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model.get("merges") or []]
    if not all(len(merge) == 2 for merge in merges):  # noqa: PLR2004
        raise ConversionError("tokenizer.json contains a merge that does not have two parts.")
    by_score = bool(model.get("byte_fallback"))
    cut = "default" if by_score else _pre_tokenizer_name(raw.get("pre_tokenizer"))
    _refuse_unsupported(raw, model, cut)
    tokens, types = _tokens_by_id(found, rows)
    vocabulary = Vocabulary("llama" if by_score else "gpt2", cut, tokens, types, add_bos=found.adds_bos)
    if by_score:
        _set_scores(vocabulary, merges, model)
        vocabulary.add_space = _prepends(raw)
    else:
        vocabulary.merges = [" ".join(merge) for merge in merges]
    return vocabulary


def _tokens_by_id(found: TokenizerJson, rows: int) -> tuple[list[str], list[int]]:
    """Return the text and type of every token id; unused ids get texts that cannot occur."""
    tokens = [f"[PAD{number}]" for number in range(rows)]
    types = [UNUSED] * rows
    kinds = [(text, number, NORMAL) for text, number in found.vocabulary.items()]
    kinds += [
        (entry["content"], entry["id"], CONTROL if entry.get("special") else USER_DEFINED)
        for entry in found.added
    ]
    for text, number, kind in kinds:
        if number >= rows:
            raise ConversionError(
                f"The token {text[:40]!r} has the id {number}, but the embedding has {rows} rows."
            )
        tokens[number], types[number] = text, BYTE if _BYTE.fullmatch(text) and kind == NORMAL else kind
    return tokens, types


def _refuse_unsupported(raw: dict[str, Any], model: dict[str, Any], cut: str) -> None:
    """Raise ConversionError for transformations that llama.cpp does not implement."""
    for name in ("continuing_subword_prefix", "end_of_word_suffix", "dropout"):
        if model.get(name):
            raise ConversionError(f"A tokenizer with {name} is not supported.")
    if model.get("ignore_merges") and cut != "llama-bpe":
        raise ConversionError("A tokenizer that ignores its merges is not supported.")
    normalizer = raw.get("normalizer")
    steps = normalizer.get("normalizers", [normalizer]) if isinstance(normalizer, dict) else []
    # NFC is the only normalization that llama.cpp skips for every model.
    allowed = {"Prepend", "Replace"} if cut == "default" else {"NFC"}
    for step in steps:
        if not isinstance(step, dict) or step.get("type") not in allowed:
            words = json.dumps(step)[:80]
            raise ConversionError(f"A tokenizer that normalizes text like this is not supported: {words}.")


def _pre_tokenizer_name(pre_tokenizer: Any) -> str:
    """Return llama.cpp's name for a pre-tokenizer."""
    steps = (
        pre_tokenizer.get("pretokenizers")
        if isinstance(pre_tokenizer, dict) and pre_tokenizer.get("type") == "Sequence"
        else [pre_tokenizer]
    )
    cut = tuple(_step(step) for step in steps or [])
    if cut not in _PRE_TOKENIZERS:
        words = " · ".join(cut)[:200]
        raise ConversionError(f"A tokenizer that splits text like this is not supported: {words}.")
    return _PRE_TOKENIZERS[cut]


def _step(step: Any) -> str:
    if not isinstance(step, dict):
        return "nothing"
    kind = step.get("type")
    if kind == "ByteLevel" and not step.get("add_prefix_space"):
        return "bytes" if step.get("use_regex", True) else "plain bytes"
    if kind == "Digits" and step.get("individual_digits"):
        return "digits"
    if kind == "Split" and step.get("behavior") == "Isolated" and not step.get("invert"):
        return str((step.get("pattern") or {}).get("Regex"))
    return json.dumps(step)[:80]


def _set_scores(vocabulary: Vocabulary, merges: list[tuple[str, ...]], model: dict[str, Any]) -> None:
    """Set scores with which llama.cpp merges in the order of the list."""
    ranks: dict[str, int] = {}
    listed = set(merges)
    for rank, merge in enumerate(merges):
        ranks.setdefault("".join(merge), rank)
    known = {text for text, kind in zip(vocabulary.tokens, vocabulary.types, strict=True) if kind == NORMAL}
    for text in known:
        # llama.cpp merges any two neighbours whose text is a token; the list must contain the same merges.
        for at in range(1, len(text)):
            if text[:at] in known and text[at:] in known and (text[:at], text[at:]) not in listed:
                pair = f"{text[:at]!r} and {text[at:]!r}"
                raise ConversionError(
                    f"The tokenizer does not merge {pair}, but llama.cpp would: this is not supported."
                )
    vocabulary.scores = [-float(ranks.get(text, len(merges))) for text in vocabulary.tokens]
    unknown = model.get("unk_token")
    if isinstance(unknown, str) and unknown in vocabulary.tokens:
        vocabulary.types[vocabulary.tokens.index(unknown)] = UNKNOWN


def _prepends(raw: dict[str, Any]) -> bool:
    """Return whether the tokenizer prepends a space to the text."""
    words = json.dumps([raw.get("normalizer"), raw.get("pre_tokenizer")])
    return (
        '"Prepend"' in words or '"prepend_scheme": "always"' in words or '"prepend_scheme": "first"' in words
    )


def _set_special_tokens(vocabulary: Vocabulary, special: dict[str, str], config: dict[str, Any]) -> None:
    """Set the ids of the tokens bos, eos, pad and unk."""
    numbers = {text: number for number, text in enumerate(vocabulary.tokens)}
    for name, text in special.items():
        number = numbers.get(text, config.get(f"{name}_token_id"))
        if isinstance(number, list) and number:
            number = number[0]  # several end tokens
        if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(vocabulary.tokens):
            vocabulary.special[name] = number
            if vocabulary.types[number] == NORMAL:
                vocabulary.types[number] = CONTROL
