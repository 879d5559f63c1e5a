import pytest

from turbopilot_research.positions import ELSEWHERE, KINDS, kind_of_position


@pytest.mark.parametrize(
    ("before", "kind"),
    [
        ("x\n    ", "an empty line"),
        ("np.ar", "after a dot"),
        ("df['col", "in a string"),
        ("df['a'] + 'b' + va", "in a word"),
        ("# don't\nf(", "in brackets"),
        ("s = 'x\ny = ", "after ="),
        ('f("", ', "in brackets"),
        ("f(a, ", "in brackets"),
        ("x = ", "after ="),
        ("x + ", "elsewhere"),
    ],
)
def test_kind_of_position_distinguishes_positions(before: str, kind: str) -> None:
    assert kind_of_position(before) == kind
    assert kind in KINDS


def test_kind_of_position_ignores_distant_text() -> None:
    assert kind_of_position("'" + "\n" * 10 + "x" * 1000 + " + ") == ELSEWHERE
