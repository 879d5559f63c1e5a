from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.report import ObjectDescription, TracebackFrame
from jupyter_turbopilot.fixes.parameters import find
from tests.fixes.failing import applied, failure

FIT = ObjectDescription(type="function", parameters=["self", "data", "epochs", "scale", "x_min"])


def error(word: str, hint: str = "") -> str:
    return f"TypeError: fit() got an unexpected keyword argument '{word}'{hint}"


@pytest.mark.parametrize(
    ("source", "word", "fixed"),
    [
        ("fit(1, epoch=2)", "epoch", "fit(1, epochs=2)"),
        ("fit(epochs=1, scael = 2)", "scael", "fit(epochs=1, scale = 2)"),
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


LINE = ObjectDescription(
    type="Line2D",
    attributes=["get_label", "set_color", "set_label", "set_alpha", "set_sizes"],
    parameters=["linewidth"],
)


@pytest.mark.parametrize(
    ("source", "word", "fixed"),
    [
        ('plt.plot(x, y, colour="k")', "colour", 'plt.plot(x, y, color="k")'),
        ("ax.plot(x, lable=1, color=2)", "lable", "ax.plot(x, label=1, color=2)"),
        ("plt.plot(x, alpah=1)", "alpah", "plt.plot(x, alpha=1)"),
        ("plt.plot(x, linewidht=1)", "linewidht", "plt.plot(x, linewidth=1)"),
        ("plt.plot(x, dat=1)", "dat", None),
        ("plt.plot(x, size=1)", "size", None),
        ("plt.plot(x, ecolor=1)", "ecolor", None),
        ("plt.plot(x, color=1, colour=2)", "colour", None),
        ("plt.plot(x, get_lable=1)", "get_lable", None),
        ("plt.plot(x, knd=1)", "knd", None),
    ],
)
@pytest.mark.parametrize(
    "message", ["Line2D.set() got an unexpected keyword argument", "'X' has no property"]
)
def test_keyword_of_matplotlib_is_corrected(source: str, word: str, fixed: str | None, message: str) -> None:
    plot = ObjectDescription(type="function", parameters=["data", "args"], open=True)
    text = f"AttributeError: {message} '{word}'"
    failed = failure(source, text, objects={"plt.plot": plot}, object=LINE, name=word, library=True)
    assert [applied(failed, fix) for fix in find(failed)] == [fixed] * (fixed is not None)


@pytest.mark.parametrize(
    ("file", "fixed"), [("pandas/plotting/_core.py", ["df.plot(kind=1)"]), ("lib.py", [])]
)
def test_keyword_of_a_plot_of_pandas_is_corrected(file: str, fixed: list[str]) -> None:
    source, text = "df.plot(knd=1)", "AttributeError: Line2D.set() got an unexpected keyword argument 'knd'"
    failed = failure(source, text, objects={}, object=LINE, name="knd")
    assert failed.report.error
    frames = [*failed.report.error.frames, TracebackFrame(file, 1)]
    error = msgspec.structs.replace(failed.report.error, frames=frames)
    failed = replace(failed, report=msgspec.structs.replace(failed.report, error=error))
    assert [applied(failed, fix) for fix in find(failed)] == fixed


@given(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), st.lists(st.text(max_size=12), max_size=5))
def test_any_fix_parses(word: str, parameters: list[str]) -> None:
    failed = failure(
        f"fit({word}_=1)", error(f"{word}_"), objects={"fit": ObjectDescription(parameters=parameters)}
    )
    for fix in find(failed):
        applied(failed, fix)
