import json
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.plugins.convert import tokenizer
from jupyter_turbopilot.plugins.convert.conversion import convert
from jupyter_turbopilot.protocol.errors import ConversionError
from tests.plugins.convert import families, native

_PARTS = [
    "def f(x):\n    return x\n", "    ", "\t\t\tx", " " * 31, " " * 40, "\n\n\n", "\r\n", "a\rb", "x  \n  y",
    "it's we'll I'D 'S", "1234567890", "3.14e-10", "0xFF_FF", "x1y22z333", "éàü ñ", "naïve café", "日本語 テスト",
    "中文,標點。", "한국어", "עברית", "العربية", "हिन्दी", "ไทย", "🎉🚀", "👩‍👩‍👧", "e\u0301", "\u200b", "\u00a0x", "\ufeff",
    "<|endoftext|", "< |endoftext|>", "<s", "[PAD3]", "▁a▁", "Ġword", "Ċ", "##x", "@decorator", "a_b__c", "!!!", "...",
    "==!=<=>=", "->", "**kw", "{[()]}", '"""', "'''", "\\n\\t", "\\", "`x`", "$$", "~", "^", "|", "&&", "# %% cell",
    "!ls -la", "%matplotlib inline", 'df["col"]', "x:=1", "λ x", "½ ² ³", "ⅷ", "٣٤", "\x00", "\x07", "\x1b[0m", "\x7f",
    "a" * 300, "ab" * 100, " a b c d e", "CamelCaseWord", "snake_case_word", "SCREAMING", "mIxEd",
]  # fmt: skip
TEXTS = [
    *_PARTS,
    *(a + b for a, b in zip(_PARTS, reversed(_PARTS), strict=True)),
    *(f" {a}\n" for a in _PARTS[:20]),
]


@pytest.mark.parametrize("cut", ["bytes", "digits", "qwen", "deepseek", "scored"])
def test_converted_tokenizers_tokenize_unusual_texts_equally(cut: str, tmp_path: Path) -> None:
    family = next(name for name, (_, _, its) in families.FAMILIES.items() if its == cut)
    families.make(family, tmp_path / "hf")
    path = convert(tmp_path / "hf", tmp_path / "model.gguf")
    made = families.tokenizer(cut)
    assert len(TEXTS) >= 100
    with native.loaded(path) as model:
        for text in TEXTS:
            wanted = made.encode(text, add_special_tokens=False).ids
            assert native.tokenize(model, text) == wanted, text
            back = native.detokenize(model, wanted).decode()
            if cut != "scored" or "▁" not in text:  # which represents a space
                assert back.removeprefix(" " if cut == "scored" else "") == text


def message(**changed: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(families.tokenizer("bytes").to_str())
    return {**found, **changed}


def write(folder: Path, found: object) -> Path:
    (folder / "tokenizer.json").write_text(json.dumps(found))
    return folder


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"model": {"type": "Unigram", "vocab": []}}, "type Unigram"),
        ({"pre_tokenizer": None}, "splits text like this"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "Whitespace"),
        ({"added_tokens": [{"content": "x", "id": 10**6, "special": True}]}, "embedding has 600 rows"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b c"]}}, "does not have two parts"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "ignore_merges": True}}, "ignores its merges"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "end_of_word_suffix": "</w>"}}, "end_of_word_suffix"),
        ({"normalizer": {"type": "Lowercase"}}, "Lowercase"),
        ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Strip"}]}}, "Strip"),
    ],
)
def test_convert_refuses_an_unsupported_tokenizer_with_the_reason(
    changed: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ConversionError, match=reason):
        tokenizer.read(write(tmp_path, message(**changed)), families.ROWS)


@pytest.mark.parametrize(
    "changed",
    [
        {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [1]}},
        {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [[1, 2]]}},
        {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [[["a"], "b"]], "byte_fallback": True}},
        {"normalizer": {"type": "Sequence", "normalizers": True}},
        {"added_tokens": [{"content": "\ud800", "id": 1}]},
    ],
)
def test_convert_refuses_a_damaged_tokenizer(changed: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="is damaged"):
        tokenizer.read(write(tmp_path, message(**changed)), families.ROWS)


def test_convert_refuses_merges_that_llama_cpp_would_add(tmp_path: Path) -> None:
    found = json.loads(families.tokenizer("scored").to_str())
    found["model"]["merges"].pop()
    with pytest.raises(ConversionError, match="but llama"):
        tokenizer.read(write(tmp_path, found), families.ROWS)
