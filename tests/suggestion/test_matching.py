from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.suggestion.matching import Matcher

few = st.text(alphabet="ab", max_size=30)


@given(st.text(alphabet="ab", min_size=1, max_size=6), st.lists(few, max_size=6))
def test_matcher_finds_a_text_in_any_pieces(wanted: str, pieces: list[str]) -> None:
    matcher = Matcher(wanted)
    whole, ends, came = "".join(pieces), [], 0
    for piece in pieces:
        end = 0
        while (end := matcher.find(piece, end)) >= 0:
            ends.append(came + end)
        came += len(piece)
    expected = [at + len(wanted) for at in range(len(whole)) if whole.startswith(wanted, at)]
    assert ends == expected
    begun = [n for n in range(min(len(wanted), len(whole)), 0, -1) if whole.endswith(wanted[:n])]
    assert matcher.beginnings() == begun
