from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from jupyter_turbopilot.util import registry
from jupyter_turbopilot.util.registry import PREFIX, Entry


@pytest.fixture(autouse=True)
def _no_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "failures", {})


OWN = [
    entry
    for group in sorted({*registry.OWN, *registry.registered()})
    for entry in registry.found(group)
    if entry.is_own
]


@pytest.mark.parametrize("entry", OWN, ids=str)
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
    assert registry.failures == {"exiting:x": "SystemExit: 3"}


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
    values = {"doctor": "other:doctor", "convert": "other:convert", "other": "other:declare"}
    points = [EntryPoint(name, value, f"{PREFIX}commands") for name, value in values.items()]
    points += [EntryPoint("convert", f"{PREFIX}plugins.convert", f"{PREFIX}commands")]
    points += [EntryPoint("pytest11", "other:plugin", "pytest11")]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda: EntryPoints(points))
    monkeypatch.setattr(registry, "registered", registry.registered.__wrapped__)
    assert registry.registered().keys() == {"commands"}
    found = {entry.name: entry.value for entry in registry.found("commands")}
    assert (found["other"], found["convert"]) == ("other:declare", f"{PREFIX}plugins.convert")
    assert found["doctor"] == next(
        entry.value for entry in registry.own("commands") if entry.name == "doctor"
    )
    assert [*registry.failures] == ["other:doctor", "other:convert"]
