from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.context.facts import (
    MAX_COLUMNS,
    MAX_FRAMES,
    NEAR,
    NONE,
    Fact,
    Facts,
    describe,
    read_facts,
)


def table(*labels: str) -> Fact:
    return Fact(type="DataFrame", columns=[(label, "int64") for label in labels])


def function(*parameters: str, module: str = "builtins") -> Fact:
    return Fact(type="function", module=module, parameters=list(parameters))


def test_a_label_cannot_end_the_comment_it_stands_in() -> None:
    described = describe(Facts(names={"df": table("a\nimport os", "b\u2028c", "d")}), "")
    assert described.splitlines() == [
        "# df: DataFrame with 'a\\nimport os' int64, 'b\\u2028c' int64, d int64"
    ]


def test_tables_arrays_and_functions_are_described_each_in_a_line() -> None:
    array = Fact(type="ndarray", shape=[3, 4], dtype="float64")
    facts = Facts(names={"f": function("a", "b"), "values": array, "df": table("x"), "n": Fact(type="int")})
    assert describe(facts, "").splitlines() == [
        "# df: DataFrame with x int64",
        "# values: ndarray (3, 4) float64",
        "# f(a, b)",
    ]


def test_names_that_the_notebook_uses_come_first_and_the_rest_is_left_out() -> None:
    names = {f"df{number}": table("x") for number in range(MAX_FRAMES + 2)}
    last = f"df{MAX_FRAMES + 1}"
    lines = describe(Facts(names=names), f"{last}.head()").splitlines()
    assert [line.split(":")[0] for line in lines] == [f"# {last}", "# df0", "# df1"]


def test_what_the_prompt_has_already_is_not_repeated() -> None:
    facts = Facts(names={"f": function("a"), "df": table("price", "date")})
    source = "def f(a): ...\nprice = 1\n"
    assert describe(facts, source) == "# df: DataFrame with date int64\n"
    far = source + "#" * NEAR
    assert (
        describe(facts, far) == "# df: DataFrame with price int64, date int64\n"
    )  # `def` counts from anywhere


def test_only_functions_of_the_notebook_are_described() -> None:
    assert describe(Facts(names={"f": function("a", module="numpy")}), "") == ""


def test_of_a_wide_table_the_first_columns_are_named() -> None:
    described = describe(Facts(names={"df": table(*(f"c{n}" for n in range(MAX_COLUMNS + 1)))}), "")
    assert described.endswith(f"c{MAX_COLUMNS - 1} int64, …\n")
    assert not describe(Facts(names={"df": table("a")}), "").endswith("…\n")


def test_facts_have_a_digest_that_says_what_is_known_and_in_which_order() -> None:
    said: list[dict[str, object]] = [
        {},
        {"names": {"x": {"type": "int"}}},
        {"names": {"x": {"type": "str"}}},
        {"names": {"x": {"type": "int"}}, "all": True},
        {"names": {"x": {"type": "int"}, "y": {}}},
        {"names": {"y": {}, "x": {"type": "int"}}},
    ]
    digests = [read_facts(each).digest for each in said]
    assert len({NONE.digest, *digests}) == 1 + len(said)
    assert [read_facts({**each, "digest": "forged"}).digest for each in said] == digests


def test_a_label_that_is_no_unicode_is_a_fact_like_others() -> None:
    labels = ("\ud800", "\ud801", "x")
    facts = [read_facts({"names": {"df": {"columns": [[label, "int64"]]}}}) for label in labels]
    assert len({each.digest for each in facts}) == 3
    assert all(each.names["df"].columns for each in facts)
    described = describe(Facts(names={"df": table("a\ud800")}), "")
    assert described.encode() == b"# df: DataFrame with 'a\\ud800' int64\n"


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_whatever_a_kernel_sends_becomes_facts_or_none(data: object) -> None:
    facts = read_facts(data)
    assert isinstance(facts, Facts)
    try:
        msgspec.convert(data, Facts)
    except msgspec.ValidationError:
        assert facts is NONE
