from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.analysis.imports import ModuleLocation, Use
from jupyter_turbopilot.analysis.kernel_context import KernelContext, Modules, ObjectInfo
from jupyter_turbopilot.completer import completion_job, installed_modules
from jupyter_turbopilot.completer.import_sources import sources_of
from jupyter_turbopilot.completer.installed_modules import Installed
from jupyter_turbopilot.completer.plan import Admission
from jupyter_turbopilot.completer.reply_iterators import Replies
from jupyter_turbopilot.index.local_files import LocalFiles
from jupyter_turbopilot.index.reader import MaintainedIndex
from jupyter_turbopilot.protocol.request import Cell, Completion, Document
from jupyter_turbopilot.util import lookups

from ..index.notebooks import write
from .desk import Desk, received, request

NAMES = {"table": ObjectInfo()}
SNS = "import seaborn as sns"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make results independent of the load of the machine."""
    monkeypatch.setattr(installed_modules, "TIMEOUT", 30.0)
    monkeypatch.setattr(lookups, "SLOW", 30.0)
    monkeypatch.setattr(completion_job, "LOOK_UP_SECONDS", 5.0)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "seaborn.py").touch()
    return str(tmp_path)


def knowing(folder: str, *, complete: bool = True) -> KernelContext:
    return KernelContext(NAMES, all=complete, modules=Modules((folder,) if folder else ()))


def asked(d: Desk, kernel_context: KernelContext, **more: object) -> list[tuple[str, tuple[str, ...]]]:
    _, replies = d.begin(
        request(**{"trigger": "automatic", "eagerness": "always", **more}), kernel_context=kernel_context
    )
    return [(reply.items[0].text, reply.items[0].imports) for reply in received(replies) if reply.items]


@pytest.mark.parametrize("stream", [True, False])
def test_suggestion_adds_the_import_of_a_missing_module(
    desk: Callable[..., Desk], folder: str, stream: bool
) -> None:
    reported = asked(desk("sns.heatmap(table)"), knowing(folder), stream=stream)
    assert reported[-1] == ("sns.heatmap(table)", (SNS,))
    assert all(imports == (SNS,) for text, imports in reported if "sns" in text)


@pytest.mark.parametrize("kernel_context", [knowing(""), knowing("/nowhere")])
def test_suggestion_adds_no_import_that_the_kernel_lacks(
    desk: Callable[..., Desk], kernel_context: KernelContext
) -> None:
    assert asked(desk("sns.heatmap(table)"), kernel_context) == []


def test_suggestion_adds_no_import_if_the_scope_is_unknown(desk: Callable[..., Desk], folder: str) -> None:
    reported = asked(desk("sns.heatmap(table)"), knowing(folder, complete=False))
    assert reported[-1] == ("sns.heatmap(table)", ())


@pytest.mark.parametrize("trigger", ["automatic", "invoke"])
def test_suggestion_is_uncached_before_its_modules_are_looked_up(
    desk: Callable[..., Desk], folder: str, monkeypatch: pytest.MonkeyPatch, trigger: str
) -> None:
    d = desk("table; sns.heatmap(table)")
    found: list[ModuleLocation | None] = [None]
    monkeypatch.setattr(Installed, "__call__", lambda *_, **__: found[0])

    def reported() -> tuple[bool, bool]:
        asks = request(trigger=trigger, eagerness="always")
        reply = received(d.begin(asks, kernel_context=knowing(folder))[1])[-1]
        return any(item.imports == (SNS,) for item in reply.items), reply.uncached

    assert reported() == (False, True)
    assert reported() == (False, True)
    found[0] = ModuleLocation.ANYWHERE
    assert reported() == (True, False)


class Remembers:
    """An index with one line."""

    def __init__(self, line: str, folder: str = ".") -> None:
        self.line = line
        self.folder = folder
        self.asked: list[str] = []

    def imports(
        self, name: str, *, folder: str | None = None, leaving: Collection[str] = ()
    ) -> Sequence[tuple[str, int]]:
        self.asked.append(name)
        return [(self.line, 3)] if name in self.line and folder in {None, self.folder} else []


def test_sources_include_open_documents_and_later_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [
        Cell(source="x = "),
        Cell(source="from paths import Path"),
        Cell(type="markdown", source="import z"),
    ]
    documents = [
        Document(path="a.py", source="import numpy.typing as npt\n"),
        Document(language="r", source="import q"),
    ]
    everything = Installed()
    monkeypatch.setattr(Installed, "__call__", lambda *_, **__: ModuleLocation.ANYWHERE)
    sources = sources_of(
        Completion(cells=cells, offset=4, documents=documents), knowing("/a"), None, everything
    )
    assert sources is not None
    assert sources.line_for(Use("Path", "(", dotted=False)) == "from paths import Path"
    assert sources.line_for(Use("npt", "NDArray", dotted=True)) == "import numpy.typing as npt"
    assert sources.line_for(Use("z", "a", dotted=True)) == ""
    assert sources.line_for(Use("q", "a", dotted=True)) == ""


def test_sources_find_local_modules_in_the_documents_folder(desk: Callable[..., Desk], folder: str) -> None:
    kernel_context = KernelContext(NAMES, all=True, modules=Modules((folder,), here=(folder,)))
    line = "from seaborn import heatmap as draw"

    def shown(written_in: str, path: str) -> bool:
        d, replies = desk("draw(table)"), Replies()
        asks = request(trigger="automatic", eagerness="always", path=path)
        notebook_index: Any = Remembers(line, written_in)
        admission = Admission(kernel_context=kernel_context, notebook_index=notebook_index)
        d.completer.submit(asks, replies.listen, admission)
        return bool(received(replies)[-1].items)

    assert shown("work", "work/a.ipynb")
    assert shown(".", "/a.ipynb")
    assert not shown("other", "work/a.ipynb")
    # Common aliases do not depend on the folder.
    assert asked(desk("sns.heatmap(table)"), kernel_context)[-1] == ("sns.heatmap(table)", (SNS,))


def test_sources_count_each_document_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Installed, "__call__", lambda *_, **__: ModuleLocation.ANYWHERE)
    own, other = "import numpy as np", "import jax.numpy as np"
    for number in range(3):
        write(tmp_path / "work", f"{number}.ipynb", own)
    write(tmp_path / "work", "other.ipynb", other)
    source = LocalFiles(tmp_path / "work")
    notebook_index: Any = MaintainedIndex(source)
    notebook_index.builder.build_now()

    def line(*documents: Document) -> str | None:
        asks = Completion(cells=[Cell(source="")], offset=0, path="RTC:new.ipynb", documents=[*documents])
        sources = sources_of(asks, knowing("/a"), notebook_index, Installed())
        assert sources
        return sources.line_for(Use("np", "mean", dotted=True))

    # Three of four agree, which is not enough, whether they are open or not.
    opened = [Document(path=f"RTC:{number}.ipynb", source=own) for number in range(3)]
    assert [line(), line(*opened), line(opened[0])] == ["", "", ""]
    # Four of five agree, which is enough.
    assert line(Document(path="4.ipynb", source=own)) == own
    # For an open document, its current text counts.
    assert line(Document(path="other.ipynb", source=own)) == own
    # A document without the name may have been truncated.
    assert line(Document(path="other.ipynb", source="x = 1")) == ""
    notebook_index.close()
