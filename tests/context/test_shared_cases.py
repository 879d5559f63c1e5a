"""Cases shared with the front end: `labextension/src/language.test.ts` reads them, too."""

import json
from pathlib import Path

import pytest

from jupyter_turbopilot.analysis.languages import _MAGIC_LANGUAGES, _SAME_LANGUAGE, cell_language
from jupyter_turbopilot.context.private import is_private_path

CASES = json.loads((Path(__file__).parents[1] / "data/paths_and_magics.json").read_text("utf-8"))


@pytest.mark.parametrize("path", CASES["private_paths"])
def test_is_private_path_finds_credential_files(path: str) -> None:
    assert is_private_path(path)


@pytest.mark.parametrize("path", CASES["ordinary_paths"])
def test_is_private_path_accepts_ordinary_files(path: str) -> None:
    assert not is_private_path(path)


@pytest.mark.parametrize(("source", "language"), CASES["cell_languages"])
def test_cell_language_handles_each_cell_magic(source: str, language: str) -> None:
    assert cell_language(source, "python") == language


@pytest.mark.parametrize("magic", sorted(_SAME_LANGUAGE | _MAGIC_LANGUAGES.keys()))
def test_shared_cases_cover_every_known_magic(magic: str) -> None:
    names = [source.split()[0] for source, _ in CASES["cell_languages"] if source.strip()]
    assert f"%%{magic}" in names
