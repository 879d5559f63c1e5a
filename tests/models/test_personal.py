from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_turbopilot.models import personal as module
from jupyter_turbopilot.models.folder import others
from jupyter_turbopilot.models.personal import personal_dir, personal_files, sequences

MAGIC = module.SEQUENCES_MAGIC.decode()
KNOWN = {
    module.SPEED: '{"bytes_a_second": 1}',
    module.VERDICTS: json.dumps({"a" * 32: "ok"}),
    module.SEQUENCES: MAGIC + "and more",
}


def put(folder: Path, name: str, content: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)
    return folder / name


def test_the_folder_is_this_persons_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert personal_dir() == tmp_path / "jupyter-turbopilot"


@pytest.mark.parametrize(
    ("name", "known", "unknown"),
    [
        (module.SPEED, KNOWN[module.SPEED], '{"speed": 1}'),
        (module.VERDICTS, KNOWN[module.VERDICTS], '{"trial": "ok"}'),
        (module.VERDICTS, KNOWN[module.VERDICTS], "{}"),
        (module.SEQUENCES, KNOWN[module.SEQUENCES], "turbopilot"[::-1]),
        (module.SEQUENCES, MAGIC[:5], "mine"),
    ],
)
def test_a_file_is_ours_by_what_is_in_it(name: str, known: str, unknown: str, tmp_path: Path) -> None:
    path = put(tmp_path, name, known)
    beside = put(tmp_path, f"{name}.1a2b3c4d.new", known)
    assert set(personal_files(tmp_path)) == {path, beside}
    assert set(sequences(tmp_path)) == ({path, beside} if name == module.SEQUENCES else set())
    path.write_text(unknown)
    beside.unlink()
    assert set(personal_files(tmp_path)) == set()
    assert path in set(others(tmp_path))
