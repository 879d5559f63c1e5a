from __future__ import annotations

from jupyter_turbopilot.context.facts import Fact, Facts, describe


def test_a_label_cannot_end_the_comment_it_stands_in() -> None:
    columns = [("a\nimport os", "int64"), ("b\u2028c", "int64"), ("d", "int64")]
    said = describe(Facts(names={"df": Fact(type="DataFrame", columns=columns)}), "")
    assert said.splitlines() == ["# df: DataFrame with 'a\\nimport os' int64, 'b\\u2028c' int64, d int64"]
