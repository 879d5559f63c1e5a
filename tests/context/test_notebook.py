from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert

from jupyter_turbopilot.analysis.kernel_context import KernelContext, ObjectInfo
from jupyter_turbopilot.context.notebook import (
    LOOKED_AT,
    PLACE,
    gather,
    outline,
    text_before,
)
from jupyter_turbopilot.protocol.request import Cell, Completion, Document

from ..shared_cases import golden


def context_of(*cells: Cell | str, active: int | None = None, **more: object) -> object:
    listed = [Cell(source=cell) if isinstance(cell, str) else cell for cell in cells]
    index = len(listed) - 1 if active is None else active
    return gather(
        Completion(cells=listed, active=index, offset=len(listed[index].source), **more)  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("request_", "pieces"), golden("notebook", "pieces"))
def test_gather_orders_cells_with_the_next_one_before_the_active_one(
    request_: Any, pieces: list[str]
) -> None:
    assert gather(convert(request_, Completion)).pieces == tuple(pieces)


@pytest.mark.parametrize(("request_", "found"), golden("notebook", "gather"))
def test_gather_starts_the_suffix_with_the_next_line_on_a_blank_line(
    request_: Any, found: dict[str, str]
) -> None:
    context = gather(convert(request_, Completion))
    assert asdict(context) | found == asdict(context)


def test_text_before_identifies_the_position_by_its_surroundings() -> None:
    request = Completion(
        cells=[Cell(source="above"), Cell(source="before|after"), Cell(source="below")], active=1, offset=6
    )
    before, after = text_before(request)
    assert before.endswith("above\nbefore")
    assert after == "|after\n\nbelow"


def test_gather_puts_other_documents_first_except_credentials() -> None:
    documents = [
        Document(path="lib/util.py", source="def load(): ..."),
        Document(path="lib/other.py", source="nothing = 'in common'"),
        Document(path=".env", source="load = 1"),
        Document(path="a.sql", language="sql", source="select"),
    ]
    pieces = context_of("a = load()", "x", documents=documents).pieces
    assert pieces == ("# util.py\ndef load(): ...\n\n", "a = load()\n\n")


def test_gather_selects_snippets_by_imports_but_not_by_the_typed_line() -> None:
    documents = [Document(path="util.py", source="def load_prices(): ...")]
    file = "from util import load_prices\n\nx = "
    for typed in ("", "l", "load_prices", "other"):
        assert context_of(file + typed, documents=documents).pieces == (
            "# util.py\ndef load_prices(): ...\n\n",
        )


def test_gather_includes_the_whole_history_of_a_terminal() -> None:
    documents = [Document(source="nothing = 'in common'")]
    assert context_of("x", documents=documents).pieces == ("nothing = 'in common'\n\n",)


@pytest.mark.parametrize(("pieces", "heads"), golden("notebook", "outline"))
def test_outline_keeps_imports_and_heads_of_definitions(pieces: list[str], heads: str) -> None:
    assert outline(pieces) == heads


@pytest.mark.parametrize(("request_", "pieces"), golden("notebook", "pieces/an error"))
def test_gather_adds_the_last_error_as_a_comment(request_: Any, pieces: list[str]) -> None:
    assert gather(convert(request_, Completion)).pieces == tuple(pieces)


def test_gather_keeps_the_start_of_a_long_cell_that_grows() -> None:
    data = "".join(f"row_{number} = {number}\n" for number in range(5000))
    cells = [data, data + "x = 1\n"]
    first, second = (context_of(cell, "x").pieces[0] for cell in cells)
    assert len(first) < len(data)
    assert second.startswith(first.rstrip())


def test_gather_removes_secrets_of_other_documents() -> None:
    documents = [Document(path="util.py", source="def load(): ...\ntoken = 'abcd1234'")]
    assert context_of("a = load()", "x", documents=documents).pieces[0] == "# util.py\ndef load(): ...\n\n"


def test_gather_puts_facts_directly_before_a_python_cell() -> None:
    kernel_context = KernelContext(names={"df": ObjectInfo(type="DataFrame", columns=["price"])})
    cells = [Cell(source="a = 1"), Cell(source="x")]
    described = "# df: DataFrame with price\n\n"
    assert gather(Completion(cells=cells, active=1, offset=1), kernel_context).pieces == (
        "a = 1\n\n",
        described,
    )
    other = Completion(cells=cells, active=1, offset=1, language="r")
    assert gather(other, kernel_context).pieces == ("a = 1\n\n",)


def test_gather_limits_the_text_of_other_documents() -> None:
    wanted = Document(path="b.py", source="def load(): ...")
    for size, pieces in ((LOOKED_AT // 2, 2), (LOOKED_AT, 1)):
        documents = [Document(path="a.py", source="x" * size), wanted]
        assert len(context_of("a = load()", "y", documents=documents).pieces) == pieces


def test_text_before_distinguishes_positions_by_the_cells_above() -> None:
    cells = [Cell(source="a" * 10), Cell(source="b" * PLACE), Cell(source="c" * 10), Cell(source="d")]
    before, _ = text_before(Completion(cells=cells, active=3, offset=1))
    assert "b" * PLACE in before
    assert "a" * 10 not in before


@given(st.lists(st.text(max_size=60), min_size=1, max_size=5), st.data())
def test_gather_splits_the_active_cell_at_the_cursor(sources: list[str], data: st.DataObject) -> None:
    active = data.draw(st.integers(0, len(sources) - 1))
    source = sources[active]
    offset = data.draw(st.integers(0, len(source)))
    cells = [Cell(source=text) for text in sources]
    context = gather(Completion(cells=cells, active=active, offset=offset))
    assert context.prefix == source[:offset]
    assert context.suffix in {source[offset:], source[offset:].removeprefix("\n")}
