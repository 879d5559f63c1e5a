from __future__ import annotations

from pathlib import Path

from jupyter_turbopilot.engine.llama.vocabulary import LlamaVocabulary, load_vocabulary
from jupyter_turbopilot.jupyter.pilot.kinds.base import LatestVocabulary

from ....tiny_model import write_tiny_model


def test_latest_vocabulary_is_reloaded_only_if_its_file_changes(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "a.gguf")
    loaded: list[LlamaVocabulary] = []

    def load(file: Path) -> LlamaVocabulary:
        loaded.append(load_vocabulary(file))
        return loaded[-1]

    latest = LatestVocabulary()
    first = latest.of(path, load)
    assert latest.of(path, load) is first
    write_tiny_model(path, merges=[("a", "b")])
    second = latest.of(path, load)
    assert len(loaded) == 2
    assert second.tokenize("ab") != [ord("a"), ord("b")]


def test_latest_vocabulary_is_reloaded_if_a_file_of_its_folder_changes(tmp_path: Path) -> None:
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    (folder / "tokenizer.json").write_text("{}")
    loaded: list[Path] = []

    def load(given: Path) -> LlamaVocabulary:
        loaded.append(given)
        return load_vocabulary(write_tiny_model(tmp_path / "tiny.gguf"))

    latest = LatestVocabulary()
    first = latest.of(folder, load)
    assert latest.of(folder, load) is first
    (folder / "tokenizer.json").write_text("{ }")  # in place: the folder itself is unchanged
    latest.of(folder, load)
    assert len(loaded) == 2
