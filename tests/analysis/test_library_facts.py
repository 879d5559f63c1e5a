from typing import get_args

import pytest

from jupyter_turbopilot.analysis import table_methods
from jupyter_turbopilot.analysis.table_methods import Trait, methods, names_columns


@pytest.mark.parametrize("trait", get_args(Trait))
def test_methods_have_each_trait(trait: Trait) -> None:
    assert methods(trait)


def test_methods_have_only_known_traits() -> None:
    rows = [row.split("|") for row in table_methods.__dict__["_TABLE"].strip().split("\n")]
    assert {word for *_, traits in rows for word in traits.split()} == {*get_args(Trait)}
    assert len({name for name, *_ in rows}) == len(rows)


@pytest.mark.parametrize(
    ("method", "argument", "is_dict", "expected"),
    [
        ("groupby", "0", False, True),
        ("groupby", "by", False, True),
        ("groupby", "0", True, False),
        ("agg", "func", True, True),
        ("agg", "func", False, False),
        ("head", "0", False, False),
        ("total", "", False, False),
    ],
)
def test_names_columns_finds_the_arguments_of_a_method(
    method: str, argument: str, is_dict: bool, expected: bool
) -> None:
    assert names_columns(method, argument, is_dict=is_dict) == expected
