from __future__ import annotations

import sys
import threading
from importlib.machinery import EXTENSION_SUFFIXES, FileFinder
from pathlib import Path
from types import SimpleNamespace

import pytest

from jupyter_turbopilot.analysis.imports import ModuleLocation
from jupyter_turbopilot.analysis.kernel_context import Modules
from jupyter_turbopilot.completer import installed_modules as module
from jupyter_turbopilot.completer.installed_modules import Installed
from jupyter_turbopilot.util import lookups

from ..index.folders import until


def folders(*path: object) -> Modules:
    return Modules(path=tuple(map(str, path)), builtin=frozenset({"sys"}), suffixes=(".cp38-x.so",))


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a long timeout, so that results are independent of the load of the machine."""
    monkeypatch.setattr(module, "TIMEOUT", 30.0)
    monkeypatch.setattr(lookups, "SLOW", 30.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_installed_searches_the_kernels_path(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("raise RuntimeError('it was imported')")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "__init__.py").write_text("raise RuntimeError('it was imported')")
    (tmp_path / "two" / "deep.py").touch()
    installed = Installed()
    assert installed("one", folders(tmp_path)) is ModuleLocation.ANYWHERE
    assert installed("two", folders(tmp_path)) is ModuleLocation.ANYWHERE
    assert installed("one", folders(tmp_path / "two")) is ModuleLocation.NOWHERE
    assert installed("pytest", folders(tmp_path)) is ModuleLocation.NOWHERE
    assert "one" not in sys.modules


def test_installed_searches_the_kernels_standard_library(tmp_path: Path) -> None:
    assert Installed()("sys", folders()) is ModuleLocation.ANYWHERE
    assert Installed()("itertools", folders(tmp_path)) is ModuleLocation.NOWHERE
    (tmp_path / "math.cp38-x.so").touch()
    (tmp_path / f"cmath{EXTENSION_SUFFIXES[0]}").touch()
    assert Installed()("math", folders(tmp_path)) is ModuleLocation.ANYWHERE
    assert Installed()("cmath", folders(tmp_path)) is ModuleLocation.NOWHERE


def test_installed_finds_namespace_package_parts_in_any_folder(tmp_path: Path) -> None:
    for path in (
        "one/goggle/cloud/query/__init__.py",
        "two/goggle/cloud/storage.py",
        "two/goggle/data/a.csv",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("raise RuntimeError('it was imported')")
    modules = Modules(path=(str(tmp_path / "one"), str(tmp_path / "two")), here=(str(tmp_path / "two"),))
    installed = Installed()
    assert installed("goggle.cloud.query", modules) is ModuleLocation.ANYWHERE
    assert installed("goggle.cloud.query.Client", modules) is ModuleLocation.ANYWHERE
    assert installed("goggle.cloud.storage", modules) is ModuleLocation.HERE
    for missing in (
        "goggle",
        "goggle.cloud",
        "goggle.cloud.other",
        "goggle.data.a",
        "goggle.",
        "goggle..cloud",
    ):
        assert installed(missing, modules) is ModuleLocation.NOWHERE
    assert not [name for name in sys.modules if name.startswith("goggle")]


def test_installed_finds_modules_that_are_installed_later(tmp_path: Path, clock: list[float]) -> None:
    installed, modules = Installed(), folders(tmp_path, tmp_path / "later")
    assert installed("later", modules) is ModuleLocation.NOWHERE
    assert installed("latest", modules) is ModuleLocation.NOWHERE
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "latest.py").touch()
    (tmp_path / "later.py").touch()
    assert installed("later", modules) is ModuleLocation.NOWHERE
    clock[0] = 61.0
    assert installed("later", modules) is ModuleLocation.ANYWHERE
    assert installed("latest", modules) is ModuleLocation.ANYWHERE


@pytest.mark.parametrize("name", ["", ".", "a.b", "\0", "x" * 10_000])
def test_installed_ignores_invalid_names(name: str, tmp_path: Path) -> None:
    (tmp_path / "b.py").touch()
    assert Installed()(name, folders(tmp_path, "\0", "/nowhere")) is ModuleLocation.NOWHERE


def test_installed_returns_none_at_first_without_waiting(tmp_path: Path) -> None:
    (tmp_path / "one.py").touch()
    installed = Installed()
    assert installed("one", folders(tmp_path), waits=False) is None
    assert installed("one", folders(tmp_path)) is ModuleLocation.ANYWHERE
    assert installed("one", folders(tmp_path), waits=False) is ModuleLocation.ANYWHERE


def test_installed_waits_once_for_folders_that_do_not_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answer, asked = threading.Event(), []
    find_spec = FileFinder.find_spec

    def slow(finder: FileFinder, name: str, target: None = None) -> object:
        asked.append(name)
        answer.wait(600)
        return find_spec(finder, name, target)

    monkeypatch.setattr(module, "TIMEOUT", 0.05)
    monkeypatch.setattr(FileFinder, "find_spec", slow)
    installed = Installed()
    names = [f"n{number}" for number in range(100)]
    assert installed("n0", folders(tmp_path)) is None
    until(lambda: bool(asked))
    assert {installed(name, folders(tmp_path)) for name in names} == {None}
    assert asked == ["n0"]
    answer.set()
    until(lambda: all(installed(name, folders(tmp_path), waits=False) is not None for name in names))
    assert sorted(asked) == sorted(names)
