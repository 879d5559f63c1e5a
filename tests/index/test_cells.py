from collections.abc import Callable, Sequence
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.context.notebook import gather
from jupyter_turbopilot.index import cells as module
from jupyter_turbopilot.index.cells import ChosenCells
from jupyter_turbopilot.index.entries import entries_of
from jupyter_turbopilot.protocol.request import Cell, Completion, Document

from .fake_index import FakeIndex

ELSEWHERE = Document(path="other.ipynb", source="frame = load_frame('x')")


def asked(*sources: str, active: int = -1, **more: object) -> Completion:
    cells = [Cell(id=f"c{number}", source=source) for number, source in enumerate(sources)]
    at = range(len(cells))[active]
    return Completion(cells=cells, active=at, offset=len(cells[at].source), path="a.ipynb", **more)  # type: ignore[arg-type]


def test_choose_returns_cells_that_follow_similar_ones() -> None:
    notebook_index, chosen = FakeIndex(documents=[ELSEWHERE]), ChosenCells()
    request = asked("import pandas as pd", "frame = load_frame(path)", "fr")
    chosen.choose(notebook_index, request)
    assert notebook_index.wanted == [({"frame", "load_frame", "path"}, {"pandas"})]
    assert chosen.of(request).documents == (ELSEWHERE,)


LINES = st.sampled_from(
    ["import frame", "def load_frame():", "x = load_frame('x')", "from a import b", "  1", ""]
)


@given(st.lists(LINES, max_size=5).map("\n".join), st.lists(LINES, max_size=5).map("\n".join))
def test_choose_is_independent_of_the_typed_text(before: str, after: str) -> None:
    others = [Document(path=f"{n}.ipynb", source=f"frame = load_frame({n})\n\nb = {n}") for n in range(40)]
    notebook_index, chosen = FakeIndex(documents=others), ChosenCells()
    begins = []
    for typed in (before, after):
        request = asked("frame = load_frame(path)", typed)
        chosen.choose(notebook_index, request)
        begins.append(gather(request, indexed=chosen.of(request).documents).pieces)
    assert begins[0] == begins[1]
    assert len(begins[0]) > 1


def test_choose_excludes_cells_in_the_notebook() -> None:
    notebook_index, chosen = (
        FakeIndex(documents=[ELSEWHERE, Document(path="b.ipynb", source="then = 1")]),
        ChosenCells(),
    )
    request = asked("alpha = 1", f"{ELSEWHERE.source}\n", "")
    assert [one.path for one in chosen.choose(notebook_index, request).documents] == ["b.ipynb"]


def test_choose_recognizes_copies_despite_removed_lines() -> None:
    key = "api_key = 'sk-0123456789abcdefghij0123456789'"
    long = "\n".join(f"number_{at} = {at} * {at}" for at in range(300))
    mine = ["%matplotlib inline\nimport seaborn", f"load(frame)\n{key}\nshow(frame)  ", long]
    known = entries_of([Cell(source=source) for source in mine], "python")
    assert len(known) > len(mine)  # longer than one entry
    assert not {one.source for one in known} & {*mine}
    copies = [Document(path="a-Copy1.ipynb", source=one.source) for one in known]
    notebook_index, chosen = FakeIndex(documents=[*copies, ELSEWHERE]), ChosenCells()
    assert chosen.choose(notebook_index, asked(*mine, "")).documents == (ELSEWHERE,)


def test_choose_drops_documents_that_left_the_index() -> None:
    now = 0.0
    gone = Document(path="gone.ipynb", source="alpha = 2")
    notebook_index, chosen = FakeIndex(documents=[ELSEWHERE, gone]), ChosenCells(lambda: now)
    request = asked("alpha = 1", "")
    chosen.choose(notebook_index, request)
    notebook_index.documents.remove(gone)
    before = chosen.choose(notebook_index, request)
    assert gone in before.documents
    now = module.AGAIN + 1
    after = chosen.choose(notebook_index, request)
    assert after.documents == (ELSEWHERE,)
    assert after.digest != before.digest
    now = 0.0


def test_choose_separates_two_users_of_a_notebook() -> None:
    notebook_index, chosen = FakeIndex(documents=[ELSEWHERE]), ChosenCells()
    one = asked("alpha = 1", "", "", active=1, client="one")
    two = asked("alpha = 1", "", "", active=2, client="two")
    for _ in range(3):
        chosen.choose(notebook_index, one)
        chosen.choose(notebook_index, two)
    assert len(notebook_index.wanted) == 2


def test_choose_identifies_cells_without_ids_by_those_above() -> None:
    notebook_index, chosen = FakeIndex(documents=[ELSEWHERE]), ChosenCells()

    def at(*sources: str) -> Completion:
        cells = [Cell(source=source) for source in sources]
        return Completion(cells=cells, active=len(cells) - 1, offset=len(sources[-1]), client="shell")

    for typed in ("", "b", "be"):
        chosen.choose(notebook_index, at("alpha = 1", typed))
    assert len(notebook_index.wanted) == 1
    chosen.choose(notebook_index, at("beta = 1", ""))
    assert notebook_index.wanted[-1] == ({"beta"},)


def test_choose_excludes_open_documents_and_the_notebook() -> None:
    notebook_index, chosen = FakeIndex(documents=[ELSEWHERE]), ChosenCells()
    request = asked("alpha = 1", "", documents=[ELSEWHERE])
    chosen.choose(notebook_index, request)
    assert notebook_index.left == [{"a.ipynb", "other.ipynb"}]
    assert chosen.of(request).documents == ()


class Unsteady(FakeIndex):
    """An index that grows, fails, and answers too late."""

    def following(self, *given: object, **more: object) -> Sequence[Document]:
        found = super().following(*given, **more)  # type: ignore[arg-type]
        self.late()
        if self.fails:
            raise OSError("no such disk")
        return found

    fails = False
    late: Callable[[], object] = staticmethod(lambda: None)


HAPPENINGS = st.lists(
    st.sampled_from(["grow", "fail", "key", "late key", "impatient key", "time"]), max_size=12
)


@given(HAPPENINGS)
def test_choose_keeps_the_prefix_stable_while_the_index_changes(happenings: list[str]) -> None:
    now = 0.0
    notebook_index, chosen = Unsteady(), ChosenCells(lambda: now)
    seen: list[bytes] = []
    for number, what in enumerate(happenings):
        request = asked("alpha = 1", "x" * number)
        notebook_index.late = partial(chosen.settle, request) if what == "late key" else lambda: None
        if what == "grow":
            notebook_index.documents = [
                *notebook_index.documents,
                Document(path=f"{number}.ipynb", source="alpha = 2"),
            ]
        elif what == "fail":
            notebook_index.fails = not notebook_index.fails
        elif what == "time":
            now += module.AGAIN + 1
        elif what == "impatient key":
            seen.append(chosen.settle(request).digest)
        else:
            try:
                seen.append(chosen.choose(notebook_index, request).digest)
            except OSError:
                seen.append(chosen.settle(request).digest)
    # An old choice is dropped without a check, as its documents may have been deleted.
    begun = [digest for at, digest in enumerate(seen) if not at or digest != seen[at - 1]]
    assert len(begun) <= 1 or (len(begun) == 2 and not begun[1] and "time" in happenings)
