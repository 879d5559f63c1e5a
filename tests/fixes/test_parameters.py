from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.fixes.parameters import find
from jupyter_turbopilot.fixes.report import ObjectDescription
from tests.fixes.failing import applied, failure

FIT = ObjectDescription(type="function", parameters=["self", "data", "epochs", "scale", "x_min"])


def error(word: str, hint: str = "") -> str:
    return f"TypeError: fit() got an unexpected keyword argument '{word}'{hint}"


@pytest.mark.parametrize(
    ("source", "word", "fixed"),
    [
        ("fit(1, epoch=2)", "epoch", "fit(1, epochs=2)"),
        ("fit(epochs=1, scael = 2)", "scael", "fit(epochs=1, scale = 2)"),
        ("f'{fit(epoch=2)}'", "epoch", "f'{fit(epochs=2)}'"),
        ("print(fit(1, Epochs=fit(1)))", "Epochs", "print(fit(1, epochs=fit(1)))"),
    ],
)
def test_misspelled_parameter_is_corrected(source: str, word: str, fixed: str) -> None:
    failed = failure(source, error(word), objects={"fit": FIT})
    (fix,) = find(failed)
    assert applied(failed, fix) == fixed


@pytest.mark.parametrize(
    ("word", "parameters", "is_found"),
    [
        ("decimal", ["value", "decimaler"], True),
        ("decimal", ["value", "decimalerna"], False),
        ("decimal", ["value", "decimal_xy"], False),
        ("decimal", ["decimaler", "decile"], False),
        ("decimal", ["decimaler", "decimerat"], False),
        ("decim", ["value", "decimer"], False),
        ("decimaler", ["value", "decimal"], False),
    ],
)
def test_end_of_the_only_similar_parameter_is_added(word: str, parameters: list[str], is_found: bool) -> None:
    source = f"fit(10, {word}=1)"
    for is_open in (False, True):
        fit = ObjectDescription(type="function", parameters=parameters, open=is_open)
        failed = failure(source, error(word), objects={"fit": fit})
        fixes = [applied(failed, fix) for fix in find(failed)]
        assert fixes == (["fit(10, decimaler=1)"] if is_found and not is_open else [])


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("fit(1, x=2)", "x"),
        ("fit(1, weights=2)", "weights"),
        ("fit(epochs=1, epoch=2)", "epoch"),  # given twice
        ("fit(epoch=1) + fit(epoch=2)", "epoch"),
        ("fit(**options)", "epoch"),
        ("other(epoch=1)", "epoch"),
        ("fit(x_max=1)", "x_max"),
        ("fit(scale=1)", "scale"),  # a function that it calls raised the error
    ],
)
def test_uncertain_parameter_is_not_corrected(source: str, word: str) -> None:
    assert [*find(failure(source, error(word), objects={"fit": FIT}))] == []


def test_suggestion_of_the_interpreter_is_used_for_an_unknown_function() -> None:
    failed = failure("a().fit(epoch=1)", error("epoch", ". Did you mean 'epochs'?"))
    (fix,) = find(failed)
    assert applied(failed, fix) == "a().fit(epochs=1)"


@given(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), st.lists(st.text(max_size=12), max_size=5))
def test_any_fix_parses(word: str, parameters: list[str]) -> None:
    failed = failure(
        f"fit({word}_=1)", error(f"{word}_"), objects={"fit": ObjectDescription(parameters=parameters)}
    )
    for fix in find(failed):
        applied(failed, fix)
