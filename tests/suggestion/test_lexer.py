from __future__ import annotations

import io
import keyword
import token
import tokenize
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.suggestion.lexer import lex

from ..twins import golden
from .test_syntax import PROGRAM

SOURCES = st.text(alphabet="()[]{}\"'`\\#\n =%!?abr1.*", max_size=30) | st.text(max_size=30)


def kinds(source: str) -> list[tuple[str, str]]:
    return [(lexeme.kind, lexeme.text) for lexeme in lex(source)]


@pytest.mark.parametrize(
    ("source", "lexemes"),
    [*golden("lexer", "lex"), *golden("lexer", "lex/strings"), *golden("lexer", "lex/unclosed")],
)
def test_a_source_is_cut_into_words_numbers_signs_strings_comments_and_line_ends(
    source: str, lexemes: list[Any]
) -> None:
    assert [[found.kind, found.text, found.start, found.unclosed] for found in lex(source)] == lexemes


@pytest.mark.parametrize("sign", ["==", "!=", "<=", ">=", "**"])
def test_comparisons_and_powers_are_one_lexeme(sign: str) -> None:
    assert ("sign", sign) in kinds(f"a {sign} b")


@pytest.mark.parametrize("string", [source for source, _ in golden("lexer", "lex/strings")])
def test_a_string_is_one_lexeme_to_its_quote(string: str) -> None:
    assert kinds(f"x = {string} + 1")[2] == ("string", string)


def test_a_string_of_one_line_ends_with_its_line() -> None:
    assert kinds("'a\nb") == [("string", "'a"), ("line", "\n"), ("name", "b")]


def test_letters_that_are_no_prefix_are_a_name() -> None:
    assert kinds("a''")[0] == ("name", "a")
    assert kinds("bar''")[0] == ("name", "bar")


@pytest.mark.parametrize("name", ["gro\u0308\u00dfe", "\u0928\u093e\u092e", "x\u0301"])
def test_combining_marks_are_part_of_a_name(name: str) -> None:
    assert kinds(f"{name}+1")[0] == ("name", name)


@given(SOURCES)
def test_lexemes_are_the_source_without_its_white_space(source: str) -> None:
    end = 0
    for lexeme in lex(source):
        assert lexeme.text
        assert source[lexeme.start : lexeme.end] == lexeme.text
        between = source[end : lexeme.start]
        assert "\n" not in between
        assert not between.strip()
        end = lexeme.end
    assert not source[end:].strip()


def test_names_strings_numbers_and_comments_are_those_of_pythons_own_tokenizer() -> None:
    kind_of = {token.NAME: "name", token.NUMBER: "number", token.STRING: "string", token.COMMENT: "comment"}
    program = PROGRAM.replace('f"', '"')  # newer tokenizers cut f-strings in parts
    expected = [
        (kind_of[found.type], found.string)
        for found in tokenize.generate_tokens(io.StringIO(program).readline)
        if found.type in kind_of
    ]
    assert any(keyword.iskeyword(text) for _, text in expected)
    assert [found for found in kinds(program) if found[0] in kind_of.values()] == expected
