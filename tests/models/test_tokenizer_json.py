import json
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.models.tokenizer_json import read_tokenizer, refusing_damage
from jupyter_turbopilot.protocol.errors import ConversionError
from tests.plugins.convert import families


def raw() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(families.tokenizer("bytes").to_str())
    return content


def write(folder: Path, content: object) -> Path:
    (folder / "tokenizer.json").write_text(json.dumps(content))
    return folder


def test_read_tokenizer_accepts_the_layout_of_gpt_2(tmp_path: Path) -> None:
    content = raw()
    (tmp_path / "vocab.json").write_text(json.dumps(content["model"]["vocab"]))
    merges = [" ".join(merge) for merge in content["model"]["merges"]]
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    plain = {entry["content"]: entry["id"] for entry in content["added_tokens"] if not entry["special"]}
    (tmp_path / "added_tokens.json").write_text(json.dumps(plain))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"eos_token": {"content": "<|endoftext|>"}}))
    older = read_tokenizer(tmp_path)
    newer = read_tokenizer(write(tmp_path, content))
    assert older.vocabulary == newer.vocabulary
    assert older.special == newer.special == {"bos": "", "eos": "<|endoftext|>", "unk": "", "pad": ""}
    assert [(entry["content"], entry["id"], entry["special"]) for entry in older.added] == [
        (entry["content"], entry["id"], entry["special"]) for entry in newer.added
    ]
    assert older.raw["model"]["merges"] == merges
    made = families.Tokenizer.from_str(json.dumps(older.raw))
    assert (
        made.encode("def f(x):\n    return x").ids
        == families.tokenizer("bytes").encode("def f(x):\n    return x").ids
    )


@pytest.mark.parametrize(
    ("settings", "processor", "adds"),
    [
        ({"add_bos_token": True}, None, True),
        ({"add_bos_token": False}, {"type": "TemplateProcessing", "single": [{"SpecialToken": {}}]}, False),
        ({}, {"type": "TemplateProcessing", "single": [{"SpecialToken": {}}]}, True),
        ({}, {"type": "TemplateProcessing", "single": [{"Sequence": {}}]}, False),
        ({}, {"type": "Sequence", "processors": [{"single": [{"SpecialToken": {}}]}]}, True),
        ({}, None, False),
    ],
)
def test_read_tokenizer_reads_whether_bos_is_added(
    settings: dict[str, Any], processor: Any, adds: bool, tmp_path: Path
) -> None:
    folder = write(tmp_path, raw() | {"post_processor": processor})
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert read_tokenizer(folder).adds_bos == adds


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"added_tokens": 5}, "is damaged"),
        ({"added_tokens": [{"id": 5}]}, "is damaged"),
        ({"added_tokens": [{"content": "x", "id": -1}]}, "invalid id"),
        ({"added_tokens": [{"content": "x", "id": "1"}]}, "invalid id"),
        ({"model": {"vocab": {"x": True}}}, "invalid id"),
        ({"model": None}, "no vocabulary"),
        ({"model": {"vocab": [1]}}, "no vocabulary"),
    ],
)
def test_read_tokenizer_refuses_a_damaged_file(changed: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=reason), refusing_damage(tmp_path):
        read_tokenizer(write(tmp_path, raw() | changed))
