from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.lines import LONGEST, SHORTEST, lines_of

CODE = st.text(alphabet=st.sampled_from("ab_=(\"')\n\t #%!:.1\r\x0c\u2028é\ud800"), max_size=200)


@given(CODE)
def test_lines_of_counts_lines_with_the_line_above(source: str) -> None:
    stripped = [line.strip() for line in source.split("\n") if line.strip()]
    lines = lines_of(source)
    assert sum(lines.values()) == sum(SHORTEST <= len(line) <= LONGEST for line in stripped)
    assert all(line.above == "" or line.above in stripped for line in lines)
