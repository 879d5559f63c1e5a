from __future__ import annotations

import sys

import pytest

from jupyter_turbopilot.suggestion import grammar
from jupyter_turbopilot.suggestion.grammar import faults, fitting, grammar_of

VALID_BEGINNINGS = {
    "r": [
        "x <- c(1, 2",
        "df %>% filter(a > 1) %>%",
        "for (i in 1:10) {",
        "f <- function(a, b) {\n  a +",
        "x <- ",
    ],
    "julia": ["for i in 1:10", "function f(x)\n  x^2", "plot(xs, ", "using Plots", "y = "],
    "javascript": ["const a = (b) => {", "foo(a, ", "let x = ", "if (x === 1"],
    "c++": ["int main() {\n  int x = ", "for (int i = 0; i < 3; i++) {"],
}


@pytest.mark.parametrize(
    ("language", "text"), [(language, text) for language, texts in VALID_BEGINNINGS.items() for text in texts]
)
def test_what_may_go_on_to_become_a_program_is_not_wrong(language: str, text: str) -> None:
    assert faults(language, text) == 0


@pytest.mark.parametrize(
    ("language", "prefix", "text"),
    [
        ("r", "x <- c(1, ", "2))"),
        ("r", "for (i ", "of 1:10) {"),
        ("julia", "x = f(", "1]"),
        ("javascript", "const a = ", "for let"),
        ("javascript", "foo(", "a b c"),
    ],
)
def test_what_makes_it_worse_does_not_fit(language: str, prefix: str, text: str) -> None:
    assert not fitting(language, prefix)(text)


def test_what_was_wrong_before_is_not_the_texts_fault() -> None:
    assert fitting("javascript", "let let = = ;\nfoo(")("a)")


@pytest.mark.parametrize("language", ["python", "r", "klingon"])
def test_a_bracket_too_many_fits_in_no_language(language: str) -> None:
    assert fitting(language, "f(a")(")")
    assert not fitting(language, "f(a")("))")


def test_without_tree_sitter_brackets_have_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tree_sitter_language_pack", None)
    grammar_of.cache_clear()
    try:
        assert grammar_of("r") is None
        assert fitting("r", "f(a")(" b of)")
        assert not fitting("r", "f(a")("]")
    finally:
        grammar.grammar_of.cache_clear()
