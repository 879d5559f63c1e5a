from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traitlets.config import Config

from jupyter_turbopilot.analysis.kernel_context import KernelContext, Modules, ObjectInfo
from jupyter_turbopilot.completer import completer, completion_job
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.protocol.errors import NotReadyError
from jupyter_turbopilot.protocol.reply import Reply
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.suggestion import lookup
from jupyter_turbopilot.util import lookups

from ..index.fake_index import FakeIndex
from ..index.folders import until
from ..scripted_engine import ScriptedEngine
from .desk import Desk, received, request

LINE = "frame = load_frame(name)"
BEGUN = "frame = lo"
REST = LINE.removeprefix(BEGUN)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use long timeouts, so that results are independent of the load of the machine."""
    monkeypatch.setattr(completion_job, "LOOK_UP_SECONDS", 5.0)
    monkeypatch.setattr(lookups, "SLOW", 5.0)
    monkeypatch.setattr(completer, "lookups", lookups.LookupThread())


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the score of index matches."""

    def set_to(value: float) -> None:
        monkeypatch.setattr(lookup, "rate", lambda _: value)

    set_to(0.95)
    return set_to


@pytest.fixture
def sure_of_beginnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give common prefixes of index matches a high score, and whole matches a low one."""
    monkeypatch.setattr(lookup, "rate", lambda values: 0.1 if values["ending"] else 0.95)


def remembering(made: Desk, *lines: str) -> Desk:
    made.notebook_index = FakeIndex.of(*lines)
    return made


def typed(source: str = BEGUN, **more: object) -> Completion:
    return request(source, **({"trigger": "automatic", "stream": True, "client": "editor"} | more))


# Lines ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sure")
def test_confident_index_match_is_the_answer(desk: Callable[..., Desk]) -> None:
    d = remembering(desk("nothing", pause=0.1), LINE)
    (reply,) = d.ask(typed())
    assert [item.text for item in reply.items] == [REST]
    assert (reply.items[0].finish_reason, reply.model) == ("stop", "scripted")
    until(lambda: d.engine.released == len(d.engine.asks))  # the engine may have begun, and ends its text
    assert (d.completer.counters["index_matches"], d.completer.counters["cache_hits"]) == (1, 0)
    assert d.completer.shared.last_ms is not None


@pytest.mark.usefixtures("sure_of_beginnings")
@pytest.mark.parametrize(
    ("begun", "rest", "shown"),
    [("values = ", "", ["first_name"]), ("values = f(", "", []), ("values = f(", "a) + b)", [])],
)
def test_index_match_leaves_nothing_open(
    desk: Callable[..., Desk], begun: str, rest: str, shown: list[str]
) -> None:
    d = remembering(desk(""), "values = first_name.g(a) + b", "values = f(first_name, g(a) + b)")
    assert d.texts(typed(begun + rest, offset=len(begun))) == shown


@pytest.mark.usefixtures("sure")
@pytest.mark.parametrize("installed", [True, False])
def test_index_match_adds_its_imports(desk: Callable[..., Desk], tmp_path: Path, installed: bool) -> None:
    if installed:
        (tmp_path / "seaborn.py").touch()
    kernel_context = KernelContext({"frame": ObjectInfo()}, all=True, modules=Modules((str(tmp_path),)))
    d = remembering(desk(""), "grid = sns.heatmap(frame)")

    def last() -> Reply:
        return received(d.begin(typed("grid = s"), kernel_context=kernel_context)[1])[-1]

    # The packages are listed in the background. Until then, there is no answer, and nothing is cached.
    until(lambda: bool(last().items) if installed else not last().uncached)
    found = [(item.text, item.imports) for item in last().items]
    assert found == ([("ns.heatmap(frame)", ("import seaborn as sns",))] if installed else [])


# Order and failures -----------------------------------------------------------------------------------------------


def test_index_match_needs_a_ready_engine(desk: Callable[..., Desk], sure: object) -> None:
    d = remembering(desk("1"), LINE)
    d.completer.worker = Worker()
    with pytest.raises(NotReadyError):
        d.ask(typed())


def test_prefetch_with_a_cached_completion_does_not_query_the_index(desk: Callable[..., Desk]) -> None:
    d = remembering(desk("1"), LINE)
    for _ in range(2):
        d.ask(typed(trigger="prefetch"))
    assert len(d.engine.asks) == 1
    done = threading.Event()
    assert completer.lookups.submit(done.set)
    assert done.wait(30)
    assert isinstance(d.notebook_index, FakeIndex)
    assert d.notebook_index.asked == []


# Private data -----------------------------------------------------------------------------------------------------


def beside(*sources: str, **more: object) -> Completion:
    cells = [Cell(id=str(number), source=source) for number, source in enumerate(sources)]
    fields = {"path": "a.ipynb", "trigger": "automatic", "stream": True, "client": "editor"} | more
    return Completion(cells=cells, active=len(cells) - 1, offset=len(sources[-1]), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("documents", [False, True])
@pytest.mark.parametrize("kernel_context", [False, True])
@pytest.mark.parametrize("trigger", ["automatic", "invoke"])
def test_index_is_queried_only_if_a_remote_server_may_get_its_lines(
    *, documents: bool, kernel_context: bool, trigger: str
) -> None:
    engine = ScriptedEngine("1")
    allowed = {"send_documents": documents, "send_kernel_context": kernel_context}
    d = Desk(engine, engine="remote", config=Config(TurbopilotRemote=allowed), eagerness="always")
    d.notebook_index = notebook_index = FakeIndex.of("y = load_all(name)")
    d.ask(beside("x = load_frame(name)", "y = lo", trigger=trigger))
    d.worker.stop()
    # An accepted line would be part of the next request.
    assert bool(notebook_index.asked) == (documents and kernel_context)


def test_private_file_does_not_query_the_index(desk: Callable[..., Desk]) -> None:
    d = desk("1", settings={"eagerness": "always"})
    d.notebook_index = FakeIndex.of("y = load_all(name)")
    d.ask(beside("x", "y = lo", path="secrets.py"))
    assert d.notebook_index.asked == []


# For any index -----------------------------------------------------------------------------------------------------

PIECES = st.lists(st.sampled_from(["a", "(", ")", "b1", " = ", ".", "x"]), min_size=1, max_size=6).map(
    "".join
)


@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES, max_size=4), PIECES, st.floats(0.0, 1.0), st.sampled_from(["auto", "multi"]))
def test_each_frame_is_a_prefix_of_the_next(lines: list[str], answer: str, value: float, kind: str) -> None:
    d = Desk(ScriptedEngine(answer + "\nx = 2\n"), eagerness="eager")
    d.notebook_index = FakeIndex.of(*("df" + line for line in lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "rate", lambda _: value)
        patch.setattr(completion_job, "LOOK_UP_SECONDS", 5.0)
        replies = d.ask(typed("df", lines=kind))
    d.worker.stop()
    frames = [reply.items[0].text if reply.items else "" for reply in replies]
    assert all(later.startswith(earlier) for earlier, later in pairwise(frames))
