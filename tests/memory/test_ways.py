from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.context.private import looks_secret
from jupyter_turbopilot.memory import ways as module
from jupyter_turbopilot.memory.ways import Way, joined, modules_in, own_ways, ways_at
from jupyter_turbopilot.request import Cell, Completion
from jupyter_turbopilot.suggestion.surroundings import surroundings_of

from .remembering import Remembering, sighting


def test_a_line_goes_on_as_it_does_in_other_cells_and_elsewhere_in_the_active_one() -> None:
    sources = ("plt.figure()\nplt.show()", "plt.show()\n", "plt.subplots(2)\n\n")
    ways = own_ways("plt.s", "plt.figure()", [(source,) for source in sources])
    assert {way.rest: (way.own, way.own_above) for way in ways} == {
        "how()": (2, True),
        "ubplots(2)": (1, False),
    }


def ways_of(*sources: str, typed: str, below: str = "") -> list[Way]:
    cells = [*map(cell_of, sources), Cell(source=typed + below)]
    request = Completion(cells=cells, active=len(sources), offset=len(typed))
    around = surroundings_of(request.prefix, request.suffix)
    return ways_at(Remembering(), request, around, time.time())


def cell_of(source: str) -> Cell:
    return Cell(source=source)


@pytest.mark.parametrize("begun", ["p", " " * 8])
def test_a_single_letter_goes_on_in_no_way(begun: str) -> None:
    assert ways_of("print(1)", typed=begun) == []


def test_the_line_below_the_cursor_is_no_way_to_go_on() -> None:
    assert ways_of(typed="x = 1\npl", below="\nplt.show()") == []
    assert ways_of("plt.show()", typed="x = 1\npl", below="\n\n    plt.show()") == []


def test_a_line_below_the_cursor_does_not_stand_below_the_line_above_it() -> None:
    (way,) = ways_of(typed="x = 1\npl", below="\ny = 2\nplt.show()")
    assert (way.rest, way.own, way.own_above) == ("t.show()", 1, False)
    (way,) = ways_of(typed="x = 1\npl", below="\ny = 2\nx = 1\nplt.show()")
    assert way.own_above


def test_of_a_very_long_notebook_the_nearest_cells_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ABOVE", 60)
    ways = ways_of("plt.savefig(1)" + " " * 40, "plt.show()", "x = 1", typed="plt.s")
    assert [way.rest for way in ways] == ["how()"]


def test_what_the_notebook_and_other_documents_say_is_joined_the_most_first() -> None:
    own = [Way("b", own=1), Way("c", own=1)]
    seen = [sighting("a", 1), sighting("b", 2, times=7)]
    ways = joined(own, seen, time.time())
    assert [(way.rest, way.own, way.times, way.documents) for way in ways] == [
        ("b", 1, 7, 2),
        ("c", 1, 0, 0),
        ("a", 0, 1, 1),
    ]


def test_what_stands_below_the_same_line_comes_first() -> None:
    ways = joined([], [sighting("a", 9), sighting("b", 1, above=True)], time.time())
    assert [way.rest for way in ways] == ["b", "a"]


def test_a_document_from_the_future_is_as_new_as_one_of_now() -> None:
    (way,) = joined([], [sighting("a")], time.time() - 10 * 86_400)
    assert way.days == 0.0


def test_only_cells_of_the_same_language_say_how_a_line_goes_on() -> None:
    cells = [
        Cell(source="print(1)"),
        Cell(source="%%bash\nprintf x"),
        Cell(type="markdown", source="print all"),
        Cell(source="pr"),
    ]
    request = Completion(cells=cells, active=3, offset=2)
    ways = ways_at(Remembering(), request, surroundings_of("pr", ""), time.time())
    assert [way.rest for way in ways] == ["int(1)"]


def test_modules_are_those_that_the_cells_import() -> None:
    assert modules_in(("import numpy as np\nfrom os.path import join", "x = 1")) == {"numpy", "os"}


RESTS = st.text(st.sampled_from("ab ._='1\n"), max_size=8)
SECRETS = st.sampled_from(
    ["api_key = 'sk-abcdefghijklmnopqrstuv'", "password = 'hunter22'", "connect('postgres://me:hunter2@h/x')"]
)


@given(st.lists(st.one_of(SECRETS, RESTS), max_size=6), st.integers(2, 12), SECRETS)
def test_no_line_that_looks_like_a_secret_is_recalled(lines: list[str], begun: int, secret: str) -> None:
    for way in ways_of("\n".join(lines), secret, typed=secret[:begun]):
        assert not looks_secret(secret[:begun].lstrip() + way.rest)


def test_a_secret_on_several_lines_is_not_recalled() -> None:
    assert ways_of('password = (\n    "hunter2hunter2"\n)', typed='"hun') == []


@pytest.mark.parametrize("line", ["MIIEpAIBAAKCAQEA7n3kQ", "MIIabc"])
def test_a_key_in_a_cell_is_not_recalled_line_by_line(line: str) -> None:
    source = f"key = '''-----BEGIN RSA PRIVATE KEY-----\n{line}\n'''"
    assert own_ways("MII", "", [(source,)]) == []
    above, _, below = source.partition("\n")
    assert own_ways("MII", "", [(above, below)]) == []


@pytest.mark.parametrize(
    ("above", "typed", "below"),
    [
        ("password = (\n", "    'hunt", "\n    'abcdefgh'\n    'hunter2hunter2'\n)"),
        ("password = (\n    'abcdefgh'\n", "    'hunt", "\n    # the old one\n    'hunter2hunter2'\n)"),
        ("password = (\n", "    'hunt", "\n    # the old one\n    'hunter2hunter2'\n)"),
    ],
)
def test_a_secret_is_not_recalled_while_the_cursor_stands_in_the_middle_of_it(
    above: str, typed: str, below: str
) -> None:
    assert ways_of(typed=above + typed, below=below) == []
