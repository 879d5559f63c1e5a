from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.context.kernel_context import (
    MAX_COLUMNS,
    MAX_FRAMES,
    NEAR,
    NONE,
    KernelContext,
    ObjectInfo,
    describe,
    read_kernel_context,
)


def table(*labels: str) -> ObjectInfo:
    return ObjectInfo(type="DataFrame", columns=[(label, "int64") for label in labels])


def function(*parameters: str, module: str = "builtins") -> ObjectInfo:
    return ObjectInfo(type="function", module=module, parameters=list(parameters))


def test_describe_escapes_labels_with_line_breaks() -> None:
    described = describe(KernelContext(names={"df": table("a\nimport os", "b\u2028c", "d")}), "")
    assert described.splitlines() == [
        "# df: DataFrame with 'a\\nimport os' int64, 'b\\u2028c' int64, d int64"
    ]


def test_describe_lists_tables_arrays_and_functions_on_a_line_each() -> None:
    array = ObjectInfo(type="ndarray", shape=[3, 4], dtype="float64")
    kernel_context = KernelContext(
        names={"f": function("a", "b"), "values": array, "df": table("x"), "n": ObjectInfo(type="int")}
    )
    assert describe(kernel_context, "").splitlines() == [
        "# df: DataFrame with x int64",
        "# values: ndarray (3, 4) float64",
        "# f(a, b)",
    ]


def test_describe_prefers_names_that_the_notebook_uses() -> None:
    names = {f"df{number}": table("x") for number in range(MAX_FRAMES + 2)}
    last = f"df{MAX_FRAMES + 1}"
    lines = describe(KernelContext(names=names), f"{last}.head()").splitlines()
    assert [line.split(":")[0] for line in lines] == [f"# {last}", "# df0", "# df1"]


def test_describe_omits_columns_that_the_prompt_contains() -> None:
    kernel_context = KernelContext(names={"f": function("a"), "df": table("price", "date")})
    source = "def f(a): ...\nprice = 1\n"
    assert describe(kernel_context, source) == "# df: DataFrame with date int64\n"
    remote = source + "#" * NEAR
    assert (
        describe(kernel_context, remote) == "# df: DataFrame with price int64, date int64\n"
    )  # `def` counts from anywhere


def test_describe_lists_only_functions_of_the_notebook() -> None:
    assert describe(KernelContext(names={"f": function("a", module="numpy")}), "") == ""


def test_describe_names_the_first_columns_of_a_wide_table() -> None:
    described = describe(KernelContext(names={"df": table(*(f"c{n}" for n in range(MAX_COLUMNS + 1)))}), "")
    assert described.endswith(f"c{MAX_COLUMNS - 1} int64, …\n")
    assert not describe(KernelContext(names={"df": table("a")}), "").endswith("…\n")


def test_read_facts_digest_depends_on_content_and_order() -> None:
    message: list[dict[str, object]] = [
        {},
        {"names": {"x": {"type": "int"}}},
        {"names": {"x": {"type": "str"}}},
        {"names": {"x": {"type": "int"}}, "all": True},
        {"names": {"x": {"type": "int"}, "y": {}}},
        {"names": {"y": {}, "x": {"type": "int"}}},
    ]
    digests = [read_kernel_context(each).digest for each in message]
    assert len({NONE.digest, *digests}) == 1 + len(message)
    assert [read_kernel_context({**each, "digest": "forged"}).digest for each in message] == digests


def test_read_facts_accepts_labels_with_lone_surrogates() -> None:
    labels = ("\ud800", "\ud801", "x")
    kernel_context = [
        read_kernel_context({"names": {"df": {"columns": [[label, "int64"]]}}}) for label in labels
    ]
    assert len({each.digest for each in kernel_context}) == 3
    assert all(each.names["df"].columns for each in kernel_context)
    described = describe(KernelContext(names={"df": table("a\ud800")}), "")
    assert described.encode() == b"# df: DataFrame with 'a\\ud800' int64\n"


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_read_facts_returns_facts_or_none_for_any_data(data: object) -> None:
    kernel_context = read_kernel_context(data)
    assert isinstance(kernel_context, KernelContext)
    try:
        msgspec.convert(data, KernelContext)
    except msgspec.ValidationError:
        assert kernel_context is NONE
