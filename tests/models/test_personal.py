from __future__ import annotations

import json
from pathlib import Path

import pytest  # noqa: TC002

from jupyter_turbopilot.models import personal as module
from jupyter_turbopilot.models.personal import personal_dir

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
