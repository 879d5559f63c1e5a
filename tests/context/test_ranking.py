from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.context.ranking import blocks, chosen, scores

from ..twins import golden

SNIPPETS = [
    "def load_prices(path):\n    return open(path)\n\n",
    "print('hello', 'world')\n\n",
    "load_prices('x')\n\n",
    "plot_style = 'dark'\n\n",
]


def test_what_defines_a_used_name_counts_more_than_what_uses_it_too() -> None:
    found = scores(SNIPPETS, "prices = load_prices('a')\n")
    assert found[0] > found[2] > found[1] == found[3] == 0


@pytest.mark.parametrize(("snippets", "near", "room", "taken"), golden("ranking", "chosen"))
def test_the_best_that_fit_are_taken_in_their_order_and_of_two_alike_the_later(
    snippets: list[str], near: str, room: int, taken: list[str]
) -> None:
    assert chosen(snippets, near, room, len) == taken


def test_a_document_is_cut_at_blank_lines_and_short_parts_stay_together() -> None:
    source = "import a\n\n\nx = 1\n\n" + "y = 2\n" * 100 + "\ndef f():\n\n    return 1\n"
    first, second, third = blocks(source)
    assert first == "import a\n\nx = 1"
    assert second.startswith("y = 2")
    assert third == "def f():\n\n    return 1"


@given(st.lists(st.text(max_size=60), max_size=8), st.text(max_size=80), st.integers(0, 100))
def test_what_is_taken_fits_and_is_among_what_was_offered(texts: list[str], near: str, room: int) -> None:
    taken = chosen(texts, near, room, len)
    assert sum(map(len, taken)) <= room
    remaining = iter(texts)
    assert all(text in remaining for text in taken)


def test_a_rare_word_in_common_says_more_than_one_that_all_have() -> None:
    rare, common, _ = scores(["data rate", "data plot", "data axis"], "use data rate")
    assert rare > 3 * common > 0


@given(st.text(alphabet="ab \n", max_size=400), st.integers(1, 50))
def test_no_block_is_longer_than_a_screen_and_none_is_blank(source: str, most: int) -> None:
    parts = blocks(source, most)
    assert all(part.strip() and len(part) <= most for part in parts)
    assert bool(parts) is bool(source.strip()[:most].strip())
