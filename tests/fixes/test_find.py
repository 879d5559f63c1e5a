from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_turbopilot.analysis.report import KernelError, KernelReport, ObjectDescription
from jupyter_turbopilot.fixes.failed_cell import FailedCell
from jupyter_turbopilot.fixes.find import FINDERS, expressions_to_describe, find_fixes
from jupyter_turbopilot.protocol.fix import Edit, Fix
from jupyter_turbopilot.protocol.request import ErrorOutput, FixCell
from jupyter_turbopilot.util import registry
from jupyter_turbopilot.util.bounds import OperationLimitError
from jupyter_turbopilot.util.registry import Entry
from tests.fixes import failing

HEADER = ["KeyError    Traceback (most recent call last)", "Cell In[2], line 2"]


def cells(*sources: str, changed: bool = False) -> list[FixCell]:
    return [
        FixCell(source=source, execution_count=number, changed=changed)
        for number, source in enumerate(sources, 1)
    ]


def fix(text: str, confidence: float) -> Fix:
    edit = Edit(cell=0, start=0, end=1, old="x", text=text)
    return Fix(title=text, source="kernel", confidence=confidence, edits=[edit])


def failure(name: str = "KeyError", **more: object) -> FailedCell:
    return FailedCell(cells("x"), 0, name, "", **more)  # type: ignore[arg-type]


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> list[Fix | Exception]:
    """Fixes that the kinds for a KeyError find; an exception is raised by one kind."""
    found: list[Fix | Exception] = []

    def kind(number: int, _: FailedCell) -> Iterator[Fix]:
        for each in found[number::2]:
            if isinstance(each, Exception):
                raise each
            yield each

    each = tuple(lambda failure, number=number: kind(number, failure) for number in (0, 1))
    monkeypatch.setitem(FINDERS, "KeyError", each)
    return found


def titles(failure: FailedCell) -> list[str]:
    return [fix.title for fix in find_fixes(failure)]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ('df.query("citty > 1")', "UndefinedVariableError: name 'citty' is not defined"),
        ("df.agg('men')", "AttributeError: 'men' is not a valid function for 'DataFrame' object"),
        ("df.groupby('city').transform('meen')", "ValueError: 'meen' is not a valid function name"),
        ("plot(x, colour=1)", "AttributeError: Line2D.set() got an unexpected keyword argument 'colour'"),
        ("x = [1", "_IncompleteInputError: incomplete input"),
    ],
)
def test_find_fixes_handles_the_errors_of_libraries(source: str, error: str) -> None:
    line = ObjectDescription(type="Line2D", attributes=["set_color"])
    failed = failing.failure(source, error, object=line)
    assert len(find_fixes(failed)) == 1


def test_find_fixes_logs_the_failure_of_one_kind(
    kinds: list[Fix | Exception], caplog: pytest.LogCaptureFixture
) -> None:
    kinds += [RuntimeError("bug"), fix("a", 0.6)]
    assert titles(failure()) == titles(failure()) == ["a"]
    (record,) = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert "RuntimeError" in record.message
    assert not record.exc_info


def test_find_fixes_keeps_those_found_before_the_limit(kinds: list[Fix | Exception]) -> None:
    kinds += [fix("a", 0.6), fix("b", 0.9), OperationLimitError()]
    assert titles(failure()) == ["a"]


def test_find_fixes_is_silent_for_a_changed_cell_or_an_unknown_error(kinds: list[Fix | Exception]) -> None:
    kinds += [fix("a", 0.9)]
    assert find_fixes(FailedCell(cells("x", changed=True), 0, "KeyError", "")) == []
    assert find_fixes(failure("MyKeyError")) == []


def test_find_fixes_of_plugins(
    kinds: list[Fix | Exception], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kinds += [fix("a", 0.6)]
    (tmp_path / "of_plugin.py").write_text(
        "from jupyter_turbopilot.protocol.fix import Fix\n"
        "def find(failure):\n"
        "    yield Fix(title='b', source='api', confidence=0.9, run=[failure.failed])\n"
        "FINDERS = {'KeyError': (find,), 'PluginError': (find,)}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    entries = (
        *registry.own("fixes"),
        Entry("broken", "of_plugin:missing"),
        Entry("invalid", "of_plugin:__name__"),
        Entry("plugin", "of_plugin:FINDERS"),
    )
    monkeypatch.setattr(registry, "failures", {})
    monkeypatch.setattr(registry, "found", lambda group: entries if group == "fixes" else ())
    assert titles(failure()) == ["b", "a"]
    assert titles(failure("PluginError")) == ["b"]
    assert [*registry.failures] == ["of_plugin:missing", "of_plugin:__name__"]


@pytest.fixture
def plugin(kinds: list[Fix | Exception], monkeypatch: pytest.MonkeyPatch) -> Callable[[object], list[str]]:
    """Return the titles of fixes for a KeyError, with these functions of a plugin and with another plugin."""
    kinds += [fix("a", 0.6)]
    entries = tuple(Entry(name, f"{__name__}:{name}") for name in ("OF_PLUGIN", "OF_OTHER"))
    monkeypatch.setattr(registry, "failures", {})
    monkeypatch.setattr(registry, "found", lambda _: (*registry.own("fixes"), *entries))

    def offered(find: object) -> list[str]:
        monkeypatch.setitem(OF_PLUGIN, "KeyError", find)
        return titles(failure())

    return offered


OF_PLUGIN: dict[str, object] = {}
OF_OTHER = {"KeyError": (lambda _: [fix("x", 0.7)],)}


@pytest.mark.parametrize("error", [OSError, AssertionError, ImportError, SystemExit, KeyboardInterrupt])
def test_find_fixes_without_a_plugin_that_fails(
    plugin: Callable[[object], list[str]], error: type[BaseException]
) -> None:
    def find(_: FailedCell) -> Iterator[Fix]:
        raise error

    assert plugin((find,)) == ["x", "a"]
    assert registry.failures == {}


@pytest.mark.parametrize(
    "found",
    [
        "print",
        [5],
        [fix("b", 1.5)],
        [Fix(title="b", source="api", confidence=1, edits=[Edit(cell=9, start=0, end=1, old="x", text="y")])],
        [Fix(title="b", source="api", confidence=1, edits=[Edit(cell=0, start=0, end=1, old="z", text="y")])],
        [Fix(title="b", source="api", confidence=1, edits=[Edit(cell=0, start=1, end=0, old="", text="y")])],
        [Fix(title="b", source="api", confidence=1, run=[9])],
    ],
)
def test_find_fixes_without_results_that_cannot_be_used(
    plugin: Callable[[object], list[str]], found: object
) -> None:
    assert plugin((lambda _: found,)) == ["x", "a"]


def test_find_fixes_without_a_table_that_is_invalid(plugin: Callable[[object], list[str]]) -> None:
    assert plugin(None) == ["x", "a"]
    assert [*registry.failures] == [f"{__name__}:OF_PLUGIN"]


def test_find_fixes_does_not_wait_again_for_a_plugin_that_hangs(
    plugin: Callable[[object], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_turbopilot.fixes.find.MAX_SECONDS", 0.01)
    released, calls = threading.Event(), []

    def hang(failure: FailedCell) -> list[Fix]:
        calls.append(failure)
        released.wait()
        return []

    assert plugin((hang, hang)) == plugin((hang,)) == ["x", "a"]
    assert len(calls) == 1
    assert registry.failures == {f"{__name__}:OF_PLUGIN": "it took more than 0.01 seconds to find fixes"}
    released.set()


@pytest.mark.parametrize(
    ("name", "message", "own", "other"),
    [
        ("KeyError", "", {}, {"type": "NameError"}),
        ("KeyError", r"'a\n'", {"key": "a\n"}, {"key": "b"}),
        ("NameError", "name 'a' is not defined", {"name": "a"}, {"name": "b"}),
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'a'", {"path": "a"}, {"path": "b"}),
        ("FileNotFoundError", "", {"path": "a"}, {"type": "OSError", "path": "a"}),
    ],
)
def test_find_fixes_ignores_the_report_of_another_error(
    monkeypatch: pytest.MonkeyPatch, name: str, message: str, own: dict[str, str], other: dict[str, str]
) -> None:
    seen: list[KernelReport] = []
    monkeypatch.setitem(FINDERS, name, (lambda failure: seen.append(failure.report) or iter(()),))
    reports = [KernelReport(error=KernelError(**{"type": name} | each), names=["a"]) for each in (own, other)]
    for report in reports:
        find_fixes(FailedCell(cells("x"), 0, name, message, report=report))
    assert seen == [reports[0], KernelReport()]


def test_wanted_lists_dotted_names_nearest_to_the_error_first() -> None:
    above = "def load(path):\n    return table.frame[path]\n\nother = load\n"
    error = ErrorOutput(name="KeyError", traceback=["Cell In[2], line 1", *HEADER[:1], "Cell In[1], line 2"])
    found = expressions_to_describe(
        cells(above, "load(here.there)\n%time\nfrom os.path import jion"), 1, error
    )
    assert found[:3] == ["table.frame", "path", "table"]
    assert {*found} == {"table.frame", "path", "table", "load", "other", "here.there", "here", "os.path"}


def test_wanted_lists_items_with_literal_keys() -> None:
    error = ErrorOutput(name="KeyError", traceback=HEADER)
    found = expressions_to_describe(cells("", "\nconfig[\"db\"].ports['http']\nrows[0]"), 1, error)
    assert {*found} == {"config['db'].ports['http']", "config['db'].ports", "config['db']", "config", "rows"}


def test_wanted_is_bounded_and_empty_without_a_tree() -> None:
    error = ErrorOutput(name="KeyError", traceback=HEADER)
    many = "\n".join(f"name{number}" for number in range(500))
    found = expressions_to_describe(cells("", many), 1, error)
    assert len(found) == 100
    assert "name1" in found
    assert expressions_to_describe(cells("", "f(("), 1, error) == []
    chain = expressions_to_describe(cells("", f"\nroot{'.b' * 2000}"), 1, error)
    assert "root.b" in chain
    assert max(map(len, chain)) < 100
    assert expressions_to_describe([FixCell()], 0, error) == []
