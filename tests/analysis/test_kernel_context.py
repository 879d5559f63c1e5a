import msgspec
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.kernel_context import (
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
    return ObjectInfo(type="DataFrame", columns=list(labels))


def test_describe_escapes_labels_with_line_breaks() -> None:
    described = describe(KernelContext(names={"df": table("a\nimport os", "b\u2028c", "d")}), "")
    assert described.splitlines() == ["# df: DataFrame with 'a\\nimport os', 'b\\u2028c', d"]


def test_describe_lists_only_tables() -> None:
    function = ObjectInfo(type="function", module="builtins", parameters=["a"])
    names = {"f": function, "df": table("x"), "n": ObjectInfo(type="int")}
    assert describe(KernelContext(names=names), "") == "# df: DataFrame with x\n"


def test_describe_prefers_names_that_the_notebook_uses() -> None:
    names = {f"df{number}": table("x") for number in range(MAX_FRAMES + 2)}
    last = f"df{MAX_FRAMES + 1}"
    lines = describe(KernelContext(names=names), f"{last}.head()").splitlines()
    assert [line.split(":")[0] for line in lines] == [f"# {last}", "# df0", "# df1"]


def test_describe_omits_columns_that_the_prompt_contains() -> None:
    kernel_context = KernelContext(names={"df": table("price", "date")})
    assert describe(kernel_context, "price = 1\n") == "# df: DataFrame with date\n"
    remote = "price = 1\n" + "#" * NEAR
    assert describe(kernel_context, remote) == "# df: DataFrame with price, date\n"


def test_describe_names_the_first_columns_of_a_wide_table() -> None:
    described = describe(KernelContext(names={"df": table(*(f"c{n}" for n in range(MAX_COLUMNS + 1)))}), "")
    assert described.endswith(f"c{MAX_COLUMNS - 1}, …\n")
    assert not describe(KernelContext(names={"df": table("a")}), "").endswith("…\n")


def test_read_kernel_context_digest_depends_on_content_and_order() -> None:
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


def test_describe_escapes_labels_with_lone_surrogates() -> None:
    described = describe(read_kernel_context({"names": {"df": {"columns": ["a\ud800"]}}}), "")
    assert described.encode() == b"# df: None with 'a\\ud800'\n"


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_read_facts_returns_facts_or_none_for_any_data(data: object) -> None:
    kernel_context = read_kernel_context(data)
    assert isinstance(kernel_context, KernelContext)
    try:
        msgspec.convert(data, KernelContext)
    except msgspec.ValidationError:
        assert kernel_context is NONE
