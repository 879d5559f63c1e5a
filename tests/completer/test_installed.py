from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from jupyter_turbopilot.completer import installed as module
from jupyter_turbopilot.completer.installed import Installed


def test_modules_are_looked_for_where_the_kernel_does(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("raise RuntimeError('it was imported')")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "__init__.py").write_text("raise RuntimeError('it was imported')")
    installed = Installed()
    assert installed("one", [str(tmp_path)])
    assert installed("two", [str(tmp_path)])
    assert not installed("one", [str(tmp_path / "two")])
    assert not installed("pytest", [str(tmp_path)])
    assert "one" not in sys.modules


def test_a_folder_of_data_is_no_module(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert not Installed()("data", [str(tmp_path)])


def test_the_standard_library_is_everywhere() -> None:
    assert Installed()("itertools", ())


def test_what_is_installed_later_is_found_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    installed = Installed()
    assert not installed("later", [str(tmp_path)])
    time.sleep(0.02)  # for a folder's time of change to be another
    (tmp_path / "later.py").touch()
    assert not installed("later", [str(tmp_path)])
    now[0] = 61.0
    assert installed("later", [str(tmp_path)])


@pytest.mark.parametrize("name", ["", ".", "a.b", "\0", "x" * 10_000])
def test_what_is_no_name_is_no_module(name: str, tmp_path: Path) -> None:
    assert not Installed()(name, [str(tmp_path), "\0", "/nowhere"])


def test_nobody_waits_for_a_folder_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()
    asked: list[str] = []

    def find_spec(name: str, path: list[str]) -> None:
        asked.append(name)
        answer.wait(10)

    monkeypatch.setattr(module.PathFinder, "find_spec", find_spec)
    installed = Installed()
    begun = time.monotonic()
    assert not installed("one", ["/far"])
    assert not any(installed(f"two{number}", ["/far"]) for number in range(100))
    assert time.monotonic() - begun < 1
    assert asked == ["one"]  # no second thread for the same folders
    answer.set()
