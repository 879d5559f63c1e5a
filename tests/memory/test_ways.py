from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.context.private import looks_secret
from jupyter_turbopilot.memory.ways import Way, joined, modules_in, own_ways, ways_at
from jupyter_turbopilot.request import Cell, Completion

from .remembering import Remembering, sighting


def test_a_line_goes_on_as_it_does_in_other_cells_and_elsewhere_in_the_active_one() -> None:
    others = ("plt.figure()\nplt.show()", "plt.show()\n")
    ways = own_ways("    plt.s", "plt.figure()", others, "plt.subplots(2)\n\n")
    assert {way.rest: (way.own, way.own_above) for way in ways} == {
        "how()": (2, True),
        "ubplots(2)": (1, False),
    }


def test_a_single_letter_goes_on_in_no_way() -> None:
    assert own_ways("p", "", ("print(1)",), "") == []
    assert own_ways(" " * 8, "", ("print(1)",), "") == []


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
    ways = ways_at(Remembering(), request, "", time.time())
    assert [way.rest for way in ways] == ["int(1)"]


def test_modules_are_those_that_the_cells_import() -> None:
    assert modules_in(("import numpy as np\nfrom os.path import join", "x = 1")) == {"numpy", "os"}


RESTS = st.text(st.sampled_from("ab ._='1\n"), max_size=8)
SECRETS = st.sampled_from(
    ["api_key = 'sk-abcdefghijklmnopqrstuv'", "password = 'hunter22'", "connect('postgres://me:hunter2@h/x')"]
)


@given(st.lists(st.one_of(SECRETS, RESTS), max_size=6), st.integers(2, 12), SECRETS)
def test_no_line_that_looks_like_a_secret_is_recalled(lines: list[str], begun: int, secret: str) -> None:
    cells = [Cell(source="\n".join(lines)), Cell(source=secret), Cell(source=secret[:begun])]
    request = Completion(cells=cells, active=2, offset=begun)
    for way in ways_at(Remembering(), request, "", time.time()):
        assert not looks_secret(secret[:begun].lstrip() + way.rest)


@pytest.mark.parametrize("line", ["MIIEpAIBAAKCAQEA7n3kQ", "MIIabc"])
def test_a_key_in_a_cell_is_not_recalled_line_by_line(line: str) -> None:
    source = f"key = '''-----BEGIN RSA PRIVATE KEY-----\n{line}\n'''"
    assert own_ways("MII", "", (source,), "") == []
