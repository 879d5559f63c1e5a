import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.plugins.transformers.tokenizer_file import read
from jupyter_turbopilot.protocol.errors import ModelRefusedError
from tests.plugins.convert import families

from . import checkpoints


def folder_of(path: Path, raw: dict[str, Any], **config: Any) -> Path:
    (path / "tokenizer.json").write_text(json.dumps(raw))
    (path / "config.json").write_text(json.dumps({"vocab_size": 600} | config))
    return path


def tokenizer(*texts: str, special: bool = False, kind: str = "bytes") -> dict[str, Any]:
    """Return a tokenizer with these added tokens."""
    made = families.Tokenizer.from_str(families.tokenizer(kind).to_str())
    (made.add_special_tokens if special else made.add_tokens)(list(texts))
    raw: dict[str, Any] = json.loads(made.to_str())
    return raw


@pytest.mark.parametrize(
    "text",
    [
        "<|fim_prefix|>",
        "<fim_suffix>",
        "<file_sep>",
        "[PREFIX]",
        "▁<PRE>",
        "<\uff5cfim▁hole\uff5c>",
        "</s>",
        "<|mask:0|>",
    ],
)
def test_read_treats_added_tokens_like_markers_as_control_tokens(text: str, tmp_path: Path) -> None:
    file = read(folder_of(tmp_path, tokenizer(text)))
    assert text in file.controls
    assert file.pieces[file.controls[text]] == b""


def test_read_collects_end_tokens_from_all_sources(tmp_path: Path) -> None:
    raw = tokenizer("<|im_end|>", "<|file_sep|>", "<|endofmask|>", "<|im_start|>", special=True)
    folder = folder_of(tmp_path, raw, eos_token_id=7)
    (folder / "generation_config.json").write_text('{"eos_token_id": [8, 9, 9999, true]}')
    file = read(folder)
    named = {file.tokens[text] for text in ("<|endoftext|>", "<|im_end|>", "<|file_sep|>", "<|endofmask|>")}
    assert file.ends == named | {7, 8, 9}


@pytest.mark.parametrize(("adds", "bos"), [(True, 0), (False, None)])
def test_read_returns_the_bos_token_if_it_is_added(adds: bool, bos: int | None, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, tokenizer())
    settings = {"bos_token": "<|endoftext|>", "add_bos_token": adds}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert read(folder).bos == bos


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocab_size": None}, "vocab_size"),
        ({"vocab_size": 100}, "belongs to another model"),
        ({"vocab_size": True}, "vocab_size"),
    ],
)
def test_read_rejects_a_tokenizer_of_another_model(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelRefusedError, match=message):
        read(folder_of(tmp_path, tokenizer(), **change))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "vocab"]), inner)
        ),
        max_leaves=6,
    ),
    st.sampled_from(["model", "added_tokens", "decoder", "post_processor"]),
)
def test_read_rejects_invalid_tokenizers_with_a_message(
    tmp_path_factory: pytest.TempPathFactory, nonsense: Any, part: str
) -> None:
    folder = tmp_path_factory.mktemp("nonsense")
    try:
        read(folder_of(folder, tokenizer() | {part: nonsense}))
    except ModelRefusedError as error:
        assert error.message


def test_read_decodes_visible_spaces_and_byte_tokens(tmp_path: Path) -> None:
    checkpoints.write(tmp_path, "llama")
    file = read(tmp_path)
    pieces = file.pieces
    assert pieces[file.tokens["<0x0A>"]] == b"\n"
    assert pieces[file.tokens["▁"]] == b" "
