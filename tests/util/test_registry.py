from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from jupyter_turbopilot.util import registry
from jupyter_turbopilot.util.registry import OWN, PREFIX, Entry


@pytest.fixture(autouse=True)
def _empty_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "failures", {})
    registry.found.cache_clear()
    yield
    registry.found.cache_clear()


@pytest.mark.parametrize("entry", [entry for entries in OWN.values() for entry in entries], ids=str)
def test_own_entries_can_be_imported(entry: Entry) -> None:
    assert entry.load() is not None


def test_entry_that_cannot_be_imported_is_none_and_noted(caplog: pytest.LogCaptureFixture) -> None:
    assert Entry("a", "jupyter_turbopilot.util.registry:missing").load() is None
    assert Entry("b", "missing_package:x").load() is None
    assert len(caplog.messages) == 2
    assert registry.failures["missing_package:x"] == "ModuleNotFoundError: No module named 'missing_package'"


def test_entry_that_ends_the_process_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "exiting.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert Entry("a", "exiting:x").load() is None
    assert registry.failures == {"exiting:x": "RuntimeError: SystemExit(3)"}


def test_entry_that_hangs_while_it_is_imported_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hanging.py").write_text("import threading\nthreading.Event().wait(30)\nx = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "IMPORT_SECONDS", 0.25)
    assert Entry("a", "hanging:x").load() is None
    assert registry.failures == {"hanging:x": "TimeoutError: its import takes more than 0.25 seconds"}


def test_failure_of_an_own_entry_may_pass(caplog: pytest.LogCaptureFixture) -> None:
    own, other = Entry("a", f"{PREFIX}util.registry:PREFIX"), Entry("b", "json:dumps")

    def failing(_: object) -> None:
        raise OSError

    for entry in (own, own, other):
        assert entry.load(failing) is None
    assert len(caplog.messages) == 2
    assert (own.load(), other.load()) == (PREFIX, None)
    assert [*registry.failures] == ["json:dumps"]


def test_found_entries_of_other_distributions_do_not_replace_own_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = f"{PREFIX}commands"
    values = {"doctor": "other:doctor", "other": "other:declare", "bench": f"{PREFIX}old.bench:declare"}
    points = [EntryPoint(name, value, group) for name, value in values.items()]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: points)
    found = {entry.name: entry.value for entry in registry.found("commands")}
    assert found["other"] == "other:declare"
    assert found["doctor"] == next(entry.value for entry in OWN["commands"] if entry.name == "doctor")
    assert [*registry.failures] == ["other:doctor"]
