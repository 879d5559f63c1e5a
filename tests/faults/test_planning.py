"""The work for a suggestion before the engine begins is bounded, whatever the notebook contains."""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.kernel_context import KernelContext, Modules, ObjectInfo
from jupyter_turbopilot.completer.plan import Admission
from jupyter_turbopilot.completer.raw_plan import plan_raw
from jupyter_turbopilot.completer.suggestion_plan import SuggestionPlan, plan_suggestion
from jupyter_turbopilot.plugins.protocols.options import InfillBody
from jupyter_turbopilot.protocol.engine_request import RawRequest
from jupyter_turbopilot.protocol.request import Cell, Completion, parse_completion
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.util.bounds import Operations, counted_operations

from ..index.fake_index import FakeIndex
from .awkward import shapes
from .test_linear import MEBIBYTE, lines_of

LARGEST = MEBIBYTE - 2**16  # characters of a notebook; a request contains more than its cells
PLAN_LINES = 1_000
MOST, MOST_AGAIN = 1_500_000, 400_000  # operations for a notebook, and after a keystroke in it

FACTS = KernelContext(
    names={
        "df": ObjectInfo(
            type="DataFrame",
            module="pandas",
            columns=["price", "unit"],
            all=True,
            attributes=frozenset({"head", "mean"}),
        ),
        **{f"value_{number}": ObjectInfo(type="int") for number in range(150)},
    },
    all=True,
    modules=Modules(path=("/nonexistent",), builtin=frozenset({"sys"})),
)
SETTINGS = Turbopilot()
_NUMBERS = count()  # no example is cached from the one before
_DISTINCT = (
    "a{0}={1}",
    "a{0};b{1};c{0}",
    "import m{0}",
    "from m{0} import a{1}, b{1} as c{0}",
    "x{0} = df['price'] + f({1})",
    "def f{0}(a, *b):\n    return [a for a, in b if {1}]",
    'ä{0} = \'é\' + """{1}"""',
    "%magic {0}\n!ls {1}",
    "df.insert({0}, 'a{1}', (",
)
SHAPES = st.one_of(st.sampled_from(_DISTINCT), st.sampled_from(sorted(shapes(1))))
LAYOUTS = [(1, LARGEST), (22, 11_000), (15, 16_000), (60, 15_000), (4000, 60), (4000, 240), (0, 0)]


def text_of(shape: str, size: int) -> str:
    """Return a text of a shape; the lines of the first shapes differ."""
    if shape not in _DISTINCT:
        return shapes(size)[shape]
    lines, left, start = [], size, next(_NUMBERS)
    while left > 0:
        lines.append(shape.format(f"{start + len(lines):x}", len(lines)))
        left -= len(lines[-1]) + 1
    return "\n".join(lines)[:size]


class Notebook(NamedTuple):
    """A notebook of up to the largest size, with the cursor in its last cell."""

    above: str  # shape of the cells above
    layout: tuple[int, int]  # their number and size
    executed: bool | None
    own: str  # shape of the active cell
    size: int
    end: str
    after: int  # characters after the cursor

    def request(self) -> Completion:
        """Return a request with a new text."""
        number, size = self.layout
        room = max(0, LARGEST - number * size)
        own = text_of(self.own, min(room, self.size)) + self.end
        cells = [
            Cell(id=f"{at}", source=text_of(self.above, size), executed=self.executed) for at in range(number)
        ]
        return Completion(
            cells=[*cells, Cell(id="own", source=own)],
            active=number,
            offset=max(0, len(own) - self.after),
            trigger="automatic",
            path="a.ipynb",
        )


NOTEBOOKS = st.builds(
    Notebook,
    above=SHAPES,
    layout=st.sampled_from(LAYOUTS),
    executed=st.sampled_from([None, True, False]),
    own=SHAPES,
    size=st.sampled_from([0, 2_000, 30_000, 100_000, LARGEST]),
    end=st.sampled_from(["\ndf['", "\nx = np", "", "\nx = df."]),
    after=st.sampled_from([0, 1_000]),
)


def typed(request: Completion) -> Completion:
    """Return the request after another keystroke. Its texts are decoded again."""
    cells = [
        Cell(id=cell.id, source=f"{cell.source} "[:-1], executed=cell.executed) for cell in request.cells
    ]
    own = cells[request.active].source
    source = f"{own[: request.offset]}p{own[request.offset :]}"
    cells[request.active] = Cell(id="own", source=source)
    return Completion(
        cells=cells, active=request.active, offset=request.offset + 1, trigger="automatic", path="a.ipynb"
    )


def plan(request: Completion) -> SuggestionPlan:
    return plan_suggestion(
        request, "model", SETTINGS, Admission(kernel_context=FACTS, notebook_index=FakeIndex())
    )


def operations_of(call: Callable[[], object]) -> int:
    operations = Operations()
    with counted_operations(operations):
        call()
    return operations.count


def prepare(made: SuggestionPlan) -> None:
    """Compute all that other threads compute before a suggestion is generated."""
    made.match()
    made.names()
    made.writing()
    assert made.cursor.context
    made.cursor.names(made.notebook_index, waits=False).imports("missing.name(other)")


BOUNDED = settings(max_examples=12, deadline=None)


@BOUNDED
@given(NOTEBOOKS)
def test_planning_parses_nothing_on_the_event_loop(notebook: Notebook) -> None:
    request = notebook.request()
    assert operations_of(partial(plan, request)) == 0
    assert lines_of(partial(plan, request)) < PLAN_LINES


@BOUNDED
@given(NOTEBOOKS)
def test_request_of_a_mebibyte_is_decoded_with_little_python(notebook: Notebook) -> None:
    request = notebook.request()
    found: list[Completion] = []
    body = msgspec.json.encode(request)
    parse_completion(body)  # the first time, it imports modules
    assert lines_of(lambda: found.append(parse_completion(body))) < PLAN_LINES
    assert found == [request]


@BOUNDED
@given(NOTEBOOKS)
def test_preparing_a_suggestion_is_bounded_and_cached_by_cell(notebook: Notebook) -> None:
    request = notebook.request()
    assert operations_of(partial(prepare, plan(request))) < MOST
    assert operations_of(partial(prepare, plan(typed(request)))) < MOST_AGAIN


@BOUNDED
@given(SHAPES, SHAPES, st.sampled_from([2_000, LARGEST // 2]))
def test_planning_an_infill_does_little_work(before: str, after: str, size: int) -> None:
    prefix, suffix = text_of(before, size), text_of(after, size)
    body = InfillBody(input_prefix=prefix, input_suffix=suffix)
    template = RawRequest(f"<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>")
    for raw in (*body.texts(), template):
        assert operations_of(partial(plan_raw, raw, SETTINGS)) == 0
        assert lines_of(partial(plan_raw, raw, SETTINGS)) < PLAN_LINES
