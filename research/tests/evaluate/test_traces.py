from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.util.notebook_file import NotebookCell
from turbopilot_research.evaluate import traces
from turbopilot_research.evaluate.notebooks import TypedNotebook

from .conftest import CODE

KINDS = ["append", "edit", "hop"]


def notebook(*sources: str, name: str = "a.ipynb") -> TypedNotebook:
    """A title and code cells, all of which may be typed."""
    cells = (NotebookCell("markdown", "# Sums"), *(NotebookCell("code", source) for source in sources))
    return TypedNotebook(name, cells, typed=tuple(range(1, len(cells))))


TWO = notebook(CODE, CODE.replace("total", "grand_total"), "print(average)")
sources = st.lists(st.text("ab \n", min_size=1, max_size=120), min_size=2, max_size=4)


def test_append_types_a_cell_in_steps_of_several_characters() -> None:
    (trace,) = traces.of_kind([notebook("abcdefghij")], "append", 0)
    assert [keystroke.cells[1] for keystroke in trace.keystrokes] == ["abcd", "abcdefgh"]
    assert [keystroke.future for keystroke in trace.keystrokes] == ["efghij", "ij"]
    assert trace.length == 10


def test_edit_types_a_line_above_the_rest_of_the_cell() -> None:
    trace = traces.of_kind([notebook("first_line = 1\nsecond_line = 2\nthird")], "edit", 1)[0]
    for keystroke in trace.keystrokes:
        assert keystroke.cells[1][keystroke.offset] == "\n"
        assert keystroke.cells[1].endswith("third")


def test_hop_alternates_between_two_cells_with_deletions() -> None:
    trace = traces.of_kind([TWO], "hop", 1)[0]
    assert {keystroke.active for keystroke in trace.keystrokes} == {1, 2}
    same_cell = [(a, b) for a, b in pairwise(trace.keystrokes) if a.active == b.active]
    assert any(b.place < a.place for a, b in same_cell)


@pytest.mark.parametrize("kind", KINDS)
def test_traces_depend_only_on_the_seed(kind: str) -> None:
    texts = [f"cell = {number}\n{CODE}" for number in range(5)]
    many = [notebook(*texts, name=str(number)) for number in range(8)]
    assert traces.of_kind(many, kind, 40) == traces.of_kind(many, kind, 40)
    assert traces.of_kind(many, kind, 40) != traces.of_kind(many, kind, 40, seed=12)


def test_keystroke_of_an_editor_without_cells_has_code_and_suffix() -> None:
    keystroke = traces.of_kind([TWO], "append", 0)[1].keystrokes[0]
    assert keystroke.active == 2
    assert keystroke.prefix == f"{CODE}\n\n{keystroke.cells[2][:4]}"
    assert keystroke.suffix == ""
    assert keystroke.below == "print(average)"


def test_request_marks_only_cells_above_as_executed() -> None:
    keystroke = traces.of_kind([TWO], "append", 0)[1].keystrokes[0]
    request = keystroke.request(ran=True, trigger="automatic")
    assert [cell.type for cell in request.cells] == ["markdown", "code", "code", "code"]
    assert [cell.executed for cell in request.cells] == [True, True, False, False]
    assert (request.active, request.offset, request.trigger) == (2, 4, "automatic")
    assert not any(cell.executed for cell in keystroke.request().cells)


def test_accepting_inserts_the_suggestion_before_the_cursor() -> None:
    keystroke = traces.of_kind([notebook("abcdef\nabcdefghijkl\nxyz")], "edit", 1)[0].keystrokes[0]
    taken = keystroke.accepting("++")
    assert taken.cells[1][: taken.offset] == keystroke.cells[1][: keystroke.offset] + "++"
    assert taken.cells[1][taken.offset :] == keystroke.cells[1][keystroke.offset :]
    assert taken.offset == keystroke.offset + 2


def test_request_at_includes_the_rest_if_given() -> None:
    assert traces.request_at(TWO, 1, 5).suffix == ""
    request = traces.request_at(TWO, 1, 5, "\nrest", trigger="invoke")
    assert (request.prefix, request.suffix, request.trigger) == (CODE[:5], "\nrest", "invoke")


@given(sources, st.sampled_from(KINDS), st.integers(0, 99))
def test_keystrokes_place_the_cursor_after_the_typed_text(texts: list[str], kind: str, seed: int) -> None:
    for trace in traces.of_kind([notebook(*texts)], kind, 30, seed=seed):
        for keystroke in trace.keystrokes:
            assert (keystroke.cells[keystroke.active][: keystroke.offset] + keystroke.future) in texts[
                keystroke.active - 1
            ]
            assert keystroke.future


def test_from_the_top_removes_the_cells_below() -> None:
    for trace in traces.of_kind([TWO], "append", 0):
        for keystroke, before in zip(traces.from_the_top(trace).keystrokes, trace.keystrokes, strict=True):
            assert keystroke.cells == before.cells[: keystroke.active + 1]
            assert len(keystroke.types) == len(keystroke.cells)
            assert (keystroke.future, keystroke.offset) == (before.future, before.offset)
