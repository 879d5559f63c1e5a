import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.context.ranking import blocks, chosen, scores

from ..shared_cases import golden

SNIPPETS = [
    "def load_prices(path):\n    return open(path)\n\n",
    "print('hello', 'world')\n\n",
    "load_prices('x')\n\n",
    "plot_style = 'dark'\n\n",
]


def test_scores_prefer_definitions_to_uses() -> None:
    found = scores(SNIPPETS, "prices = load_prices('a')\n")
    assert found[0] > found[2] > found[1] == found[3] == 0


@pytest.mark.parametrize(("snippets", "near", "room", "taken"), golden("ranking", "chosen"))
def test_chosen_keeps_the_order_and_prefers_later_equals(
    snippets: list[str], near: str, room: int, taken: list[str]
) -> None:
    assert chosen(snippets, near, room, len) == taken


@given(st.lists(st.text(max_size=60), max_size=8), st.text(max_size=80), st.integers(0, 100))
def test_chosen_snippets_fit_and_come_from_the_input(texts: list[str], near: str, room: int) -> None:
    taken = chosen(texts, near, room, len)
    assert sum(map(len, taken)) <= room
    remaining = iter(texts)
    assert all(text in remaining for text in taken)


def test_scores_weight_rare_words_more() -> None:
    rare, common, _ = scores(["data rate", "data plot", "data axis"], "use data rate")
    assert rare > 3 * common > 0


@given(st.text(alphabet="ab \n", max_size=400), st.integers(1, 50))
def test_blocks_are_bounded_and_not_blank(source: str, most: int) -> None:
    parts = blocks(source, most)
    assert all(part.strip() and len(part) <= most for part in parts)
    assert bool(parts) is bool(source.strip()[:most].strip())
