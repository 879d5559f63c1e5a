from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from jupyter_turbopilot.completer.importing import sources_of
from jupyter_turbopilot.completer.waiting import Replies
from jupyter_turbopilot.context.facts import Fact, Facts
from jupyter_turbopilot.request import Cell, Completion, Document
from jupyter_turbopilot.suggestion.imports import Use

from .desk import Desk, heard, request

NAMES = {"table": Fact()}
SNS = "import seaborn as sns"


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "seaborn.py").touch()
    return str(tmp_path)


def knowing(folder: str, *, complete: bool = True) -> Facts:
    return Facts(NAMES, all=complete, path=(folder,) if folder else ())


def asked(d: Desk, facts: Facts, **more: object) -> list[tuple[str, tuple[str, ...]]]:
    _, replies = d.begin(request(**{"trigger": "automatic", "eagerness": "always", **more}), facts=facts)
    return [(reply.items[0].text, reply.items[0].imports) for reply in heard(replies) if reply.items]


@pytest.mark.parametrize("stream", [True, False])
def test_a_suggestion_that_lacks_a_module_is_shown_with_its_import(
    desk: Callable[..., Desk], folder: str, stream: bool
) -> None:
    told = asked(desk("sns.heatmap(table)"), knowing(folder), stream=stream)
    assert told[-1] == ("sns.heatmap(table)", (SNS,))
    assert all(imports == (SNS,) for text, imports in told if "sns" in text)


@pytest.mark.parametrize("facts", [knowing(""), knowing("/nowhere")])
def test_and_not_where_its_kernel_could_not_import_it(desk: Callable[..., Desk], facts: Facts) -> None:
    assert asked(desk("sns.heatmap(table)"), facts) == []


def test_where_other_names_may_exist_nothing_is_added(desk: Callable[..., Desk], folder: str) -> None:
    told = asked(desk("sns.heatmap(table)"), knowing(folder, complete=False))
    assert told[-1] == ("sns.heatmap(table)", ())


def test_a_known_answer_comes_with_its_imports(desk: Callable[..., Desk], folder: str) -> None:
    d = desk("sns.heatmap(table)")
    assert asked(d, knowing(folder))[-1] == asked(d, knowing(folder))[-1]
    assert len(d.engine.asks) == 1
    assert d.completer.counters["known"] == 1


def test_whoever_asks_is_told_the_imports_of_what_they_are_shown(
    desk: Callable[..., Desk], folder: str
) -> None:
    told = asked(desk("sns.heatmap(nobody)"), knowing(folder), trigger="invoke")
    assert told[-1] == ("sns.heatmap(nobody)", (SNS,))


class Remembers:
    """A memory of one line."""

    def __init__(self, line: str) -> None:
        self.line = line

    def imports(self, name: str) -> Sequence[tuple[str, int]]:
        return [(self.line, 3)] if name in self.line else []


def test_memory_is_asked(desk: Callable[..., Desk], folder: str) -> None:
    d = desk("draw(table)")
    line = "from seaborn import heatmap as draw"
    replies = Replies()
    d.completer.submit(
        request(trigger="automatic", eagerness="always"),
        replies.listen,
        knowing(folder),
        memory=Remembers(line),  # type: ignore[arg-type]
    )
    (item,) = heard(replies)[-1].items
    assert (item.text, item.imports) == ("draw(table)", (line,))


def test_open_documents_and_cells_below_say_how_a_name_is_imported() -> None:
    cells = [
        Cell(source="x = "),
        Cell(source="from paths import Path"),
        Cell(type="markdown", source="import z"),
    ]
    extra = [
        Document(path="a.py", source="import numpy.typing as npt\n"),
        Document(language="r", source="import q"),
    ]
    sources = sources_of(
        Completion(cells=cells, offset=4, extra=extra),
        knowing("/a"),
        None,
        lambda _, path: path == ("/a",),
    )
    assert sources is not None
    assert sources.line_for(Use("Path", "(", dotted=False)) == "from paths import Path"
    assert sources.line_for(Use("npt", "NDArray", dotted=True)) == "import numpy.typing as npt"
    assert sources.line_for(Use("z", "a", dotted=True)) == ""
    assert sources.line_for(Use("q", "a", dotted=True)) == ""


def test_what_the_kernel_has_is_looked_for_in_its_own_folders(desk: Callable[..., Desk], folder: str) -> None:
    assert not any((Path(entry) / "seaborn.py").exists() for entry in sys.path)
    assert asked(desk("sns.heatmap(table)"), knowing(folder))
