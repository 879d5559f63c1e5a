import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.engine.vocabulary import CHARACTERS
from jupyter_turbopilot.plugins.convert.conversion import convert
from jupyter_turbopilot.plugins.transformers.vocabulary import TransformersVocabulary, read_tokens
from jupyter_turbopilot.protocol.errors import ModelRefusedError
from tests.plugins.convert import families

from . import checkpoints

FAMILIES = {"qwen2": "qwen", "gpt-neox": "bytes", "bigcode-shared": "digits", "llama": "scored"}


@pytest.fixture(scope="module")
def vocabulary(checkpoint: Path) -> TransformersVocabulary:
    return TransformersVocabulary(checkpoint)


@pytest.fixture(scope="module", params=FAMILIES)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TransformersVocabulary, LlamaEngine]]:
    """A vocabulary, and llama.cpp's for the same checkpoint."""
    folder = tmp_path_factory.mktemp(request.param)
    families.make(request.param, folder)
    path = convert(folder, folder / "model.gguf", outtype="f32")
    engine = LlamaEngine(path, LoadPlan(64, 1), name=request.param)
    yield TransformersVocabulary(folder), engine
    engine.close()


@given(
    text=st.text(st.characters(codec="utf-8"), max_size=60)
    | st.sampled_from(["", "\n\n a", "你好 🐍", "</s>"]),
    continues=st.booleans(),
)
def test_tokenize_returns_the_same_tokens_as_llama_cpp(
    pair: tuple[TransformersVocabulary, LlamaEngine], text: str, continues: bool
) -> None:
    ours, theirs = pair[0], pair[1].vocabulary
    tokens = theirs.tokenize(text, continues=continues)
    assert ours.tokenize(text, continues=continues) == tokens
    assert ours.join(tokens) == theirs.join(tokens)


def test_vocabulary_has_the_same_properties_as_llama_cpps(
    pair: tuple[TransformersVocabulary, LlamaEngine],
) -> None:
    ours, theirs = pair[0], pair[1].vocabulary
    assert ours.table.pieces == theirs.table.pieces
    assert ours.ends >= theirs.ends
    assert {*theirs.controls.tolist()} <= {*ours.controls.tolist()}
    assert (ours.unit, ours.markers.bos) == (theirs.unit, theirs.markers.bos)


def test_tokenize_omits_control_tokens_that_are_words(tmp_path: Path) -> None:
    library = families.models
    words = [("<unk>", 0.0), ("</s>", 0.0), ("▁", -2.0), *((letter, -3.0) for letter in "abc<>/s")]
    tokenizer = families.Tokenizer(library.Unigram(words, unk_id=0, byte_fallback=False))
    tokenizer.pre_tokenizer = families.pre_tokenizers.Metaspace()
    tokenizer.decoder = families.decoders.Metaspace()
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_str())
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "</s>", "unk_token": "<unk>"}')
    (tmp_path / "config.json").write_text('{"vocab_size": 12}')
    vocabulary = TransformersVocabulary(tmp_path)
    assert vocabulary.ends == {1}
    assert vocabulary.unit == CHARACTERS
    tokens = vocabulary.tokenize("ab</s>éc")
    assert not {0, 1} & {*tokens}
    assert vocabulary.join(tokens) == b" ab</s>c"


def test_vocabulary_rejects_a_damaged_tokenizer(checkpoint: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((checkpoint / name).read_bytes())
    checkpoints.change(tmp_path, "tokenizer.json", pre_tokenizer={"type": "Nonsense"})
    with pytest.raises(ModelRefusedError, match="damaged, or newer"):
        TransformersVocabulary(tmp_path)
    checkpoints.change(tmp_path, "tokenizer.json", pre_tokenizer=None, decoder={"type": "WordPiece"})
    with pytest.raises(ModelRefusedError, match="bytes of its tokens are unknown"):
        TransformersVocabulary(tmp_path)


def test_vocabulary_does_not_import_pytorch(checkpoint: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from jupyter_turbopilot.plugins.transformers import vocabulary; "
        "v = vocabulary.TransformersVocabulary(Path(sys.argv[1])); assert v.tokenize('x = 1'); "
        "print({'torch', 'transformers', 'llama_cpp'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code, str(checkpoint)], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


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
    file = read_tokens(folder_of(tmp_path, tokenizer(text)))
    assert text in file.controls
    assert file.pieces[file.controls[text]] == b""


def test_read_collects_end_tokens_from_all_sources(tmp_path: Path) -> None:
    raw = tokenizer("<|im_end|>", "<|file_sep|>", "<|endofmask|>", "<|im_start|>", special=True)
    folder = folder_of(tmp_path, raw, eos_token_id=7)
    (folder / "generation_config.json").write_text('{"eos_token_id": [8, 9, 9999, true]}')
    file = read_tokens(folder)
    named = {file.tokens[text] for text in ("<|endoftext|>", "<|im_end|>", "<|file_sep|>", "<|endofmask|>")}
    assert file.ends == named | {7, 8, 9}


@pytest.mark.parametrize(("adds", "bos"), [(True, 0), (False, None)])
def test_read_returns_the_bos_token_if_it_is_added(adds: bool, bos: int | None, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, tokenizer())
    settings = {"bos_token": "<|endoftext|>", "add_bos_token": adds}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert read_tokens(folder).bos == bos


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
        read_tokens(folder_of(tmp_path, tokenizer(), **change))


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
        read_tokens(folder_of(folder, tokenizer() | {part: nonsense}))
    except ModelRefusedError as error:
        assert error.message


def test_read_decodes_visible_spaces_and_byte_tokens(tmp_path: Path) -> None:
    checkpoints.write(tmp_path, "llama")
    file = read_tokens(tmp_path)
    pieces = file.pieces
    assert pieces[file.tokens["<0x0A>"]] == b"\n"
    assert pieces[file.tokens["▁"]] == b" "
