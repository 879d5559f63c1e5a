from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.engine.stepping.vocabulary import _RULES, LONGEST, ByteTable, slices

from ...tiny_model import learn_merges, write_sentence_pieces, write_tiny_model

ROOT = Path(__file__).parents[3]
# `default` is llama.cpp's fallback, for instance for gpt-neox and aquila.
BYTE_PAIRS = ["deepseek-coder", "deepseek-llm", "falcon", "default", "gpt-2", "qwen2", "llama-bpe", "tekken"]
VOCABULARIES = [*BYTE_PAIRS, "exaone-moe", "bloom", "sentence-pieces"]
SANE = [
    ROOT / "jupyter_turbopilot/engine/worker.py",
    ROOT / "docs/http.md",
    ROOT / "labextension/src/provider.ts",
    ROOT / "CHANGELOG.md",
]
CYRILLIC = "Привет, мир. Это обычный текст, он довольно длинный и почти без строк. " * 60
RUNS = ["a", "A", "7", "(", " ", "\n", "漢", "\u0301", "😀", "a ", "'", "!\n"]


@pytest.fixture(scope="session")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny models with the pre-tokenizers of large ones."""
    folder = tmp_path_factory.mktemp("vocabularies")
    merges = learn_merges(SANE[0].read_text()[:5000], 150)
    found = {
        name: write_tiny_model(folder / f"{name}.gguf", pre=name, merges=merges) for name in VOCABULARIES[:-1]
    }
    return found | {"sentence-pieces": write_sentence_pieces(folder / "sentence-pieces.gguf", merges)}


def loaded(path: Path) -> LlamaEngine:
    return LlamaEngine(path, LoadPlan(64, 1), name="tiny")


def same_tokens(engine: LlamaEngine, text: str) -> bool:
    return len(text) > LONGEST and engine.vocabulary.tokenize(text) == engine.vocabulary.tokenize_slice(text)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_tokenize_slices_do_not_change_the_tokens(vocabularies: dict[str, Path], name: str) -> None:
    engine = loaded(vocabularies[name])
    for path in SANE:
        text = path.read_text()
        assert same_tokens(engine, text), path
        assert same_tokens(engine, text.replace("    ", "\t").replace("\n", "\r\n")), path
    engine.close()


@pytest.mark.model
def test_tokenize_slices_do_not_change_tokens_of_the_default_model(default_model: Path) -> None:
    engine = loaded(default_model)
    assert same_tokens(engine, CYRILLIC)
    for path in [*SANE, *(ROOT / "jupyter_turbopilot/engine").glob("*.py")]:
        text = path.read_text()
        assert len(text) <= LONGEST or same_tokens(engine, text), path
    engine.close()


@pytest.fixture(scope="module")
def real(default_model: Path) -> Iterator[LlamaEngine]:
    engine = loaded(default_model)
    yield engine
    engine.close()


@given(
    st.lists(st.sampled_from(["def f(x):\n", "    return x", "\n\n", "# it's 12", " = ", "['a']", "\t", "é"]))
)
def test_slices_do_not_change_tokens_of_any_text(real: LlamaEngine, parts: list[str]) -> None:
    text = "".join(parts)
    cut = [real.vocabulary.tokenize_slice(part) for part in slices(text, real.vocabulary.slice_rule, 16)]
    places = {match.start() for match in real.vocabulary.slice_rule.finditer(text)}
    ends = [sum(map(len, list(slices(text, real.vocabulary.slice_rule, 16))[:n])) for n in range(1, len(cut))]
    if places.issuperset(ends):
        assert [token for ids in cut for token in ids] == real.vocabulary.tokenize_slice(text)


@given(st.text(st.sampled_from("ab \n.漢"), max_size=100), st.text(max_size=9))
def test_slices_are_short_and_do_not_move_while_typing(text: str, typed: str) -> None:
    for rule in _RULES:
        found = list(slices(text, rule, 16))
        assert "".join(found) == text
        assert max(map(len, found)) <= 16
        assert list(slices(text + typed, rule, 16))[: len(found) - 1] == found[:-1]


def test_tokenize_survives_repeated_characters(vocabularies: dict[str, Path]) -> None:
    child = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from tests.engine.stepping.test_vocabulary import RUNS, loaded\n"
        "def read(path):\n"
        "    engine = loaded(Path(path))\n"
        "    for run in RUNS:\n"
        "        text = (run * 6_000)[:6_000]\n"
        "        assert engine.vocabulary.tokenize(text)\n"
        "        if 'sentence' not in path:\n"
        "            assert engine.vocabulary.join(engine.vocabulary.tokenize(text)) == text.encode()\n"
        "    engine.close()\n"
        "threading.stack_size(1 << 20)  # as on Windows\n"
        "for path in sys.argv[1:]:\n"
        "    thread = threading.Thread(target=read, args=[path])\n"
        "    thread.start()\n"
        "    thread.join()\n"
        "print('alive')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", child, *map(str, vocabularies.values())],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "alive\n", "")


@given(
    st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=30),
    st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=4),
)
def test_compatible_returns_tokens_that_match_a_candidate(
    pieces: list[bytes], candidates: list[bytes]
) -> None:
    expected = {
        i
        for i, piece in enumerate(pieces)
        if any(piece.startswith(way) or way.startswith(piece) for way in candidates)
    }
    assert ByteTable(pieces).compatible(candidates).tolist() == sorted(expected)
