import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.engine.vocabulary import CHARACTERS
from jupyter_turbopilot.plugins.convert.conversion import convert
from jupyter_turbopilot.plugins.transformers.vocabulary import TransformersVocabulary
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
