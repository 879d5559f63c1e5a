import io
import keyword
import token
import tokenize
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.lexer import (
    CLOSERS,
    CLOSING,
    balanced_length,
    closed_before,
    closers_after,
    closing_length,
    depths,
    end_of_line,
    lex,
    logical_lines,
    open_field,
    open_quote,
    outside,
    rest_of_statement,
    scan,
)
from jupyter_turbopilot.util.bounds import LINE, Operations, counted_operations

from ..shared_cases import golden
from .test_syntax import PROGRAM

SOURCES = st.text(alphabet="()[]{}\"'`\\#\n =%!?abr1.*", max_size=30) | st.text(max_size=30)


def kinds(source: str) -> list[tuple[str, str]]:
    return [(lexeme.kind, lexeme.text) for lexeme in lex(source)]


@pytest.mark.parametrize(
    ("source", "lexemes"),
    golden("lexer", "lex", "lex/strings", "lex/unclosed"),
)
def test_lex_splits_a_source_into_lexemes(source: str, lexemes: list[Any]) -> None:
    assert [[found.kind, found.text, found.start, found.unclosed] for found in lex(source)] == lexemes


@pytest.mark.parametrize("name", ["gro\u0308\u00dfe", "\u0928\u093e\u092e", "x\u0301"])
def test_lex_includes_combining_marks_in_names(name: str) -> None:
    assert kinds(f"{name}+1")[0] == ("name", name)


@given(SOURCES)
def test_lex_covers_the_source_except_white_space(source: str) -> None:
    end = 0
    for lexeme in lex(source):
        assert lexeme.text
        assert source[lexeme.start : lexeme.end] == lexeme.text
        between = source[end : lexeme.start]
        assert "\n" not in between
        assert not between.strip()
        end = lexeme.end
    assert not source[end:].strip()


def test_lex_agrees_with_pythons_tokenizer() -> None:
    kind_of = {token.NAME: "name", token.NUMBER: "number", token.STRING: "string", token.COMMENT: "comment"}
    program = PROGRAM.replace('f"', '"')  # newer tokenizers split f-strings
    expected = [
        (kind_of[found.type], found.string)
        for found in tokenize.generate_tokens(io.StringIO(program).readline)
        if found.type in kind_of
    ]
    assert any(keyword.iskeyword(text) for _, text in expected)
    assert [found for found in kinds(program) if found[0] in kind_of.values()] == expected


@given(SOURCES)
def test_lex_counts_the_brackets_before_a_lexeme(source: str) -> None:
    pending: list[str] = []
    for lexeme in lex(source, pending):
        opened = scan(source[: lexeme.start])
        assert (len(opened.brackets), opened.brackets) == (lexeme.depth, "".join(reversed(pending)))


@pytest.mark.parametrize(("text", "opened"), golden("lexer", "scan"))
def test_scan_returns_open_brackets_and_quotes(text: str, opened: list[object]) -> None:
    assert [*scan(text)] == opened


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("x = 1\ny = f(\nz", 6),
        ("x = 1\n@a\n@b\ndef f():\n    y", 6),
        ("x = 1\nif y:\n    z\nelse:\n    z", 6),
        ("x = \\\ny + (", 0),
        ("x = 1\n# a\n'a'\n", 0),
        ('x = """\ny', 0),
    ],
)
def test_scan_finds_the_start_of_the_last_statement(text: str, start: int) -> None:
    assert scan(text).start == start


@pytest.mark.parametrize(
    ("before", "text", "end"),
    [
        ("x = ", "1\ny", 1),
        ("f(", "a,\n  b)\ny", 7),
        ("x = ", "1", -1),
        ("x = ", "f(\n", -1),
        ("x = ", "'a\nb'\n", 2),  # a line ends a string
        ("x = ", "'''a\nb'''\n", 9),
        ("# (", "a\n", 1),
        ("a)", ")\n(", 1),
    ],
)
def test_end_of_line_is_outside_of_brackets_and_strings(before: str, text: str, end: int) -> None:
    assert end_of_line(before, text) == end


def test_end_of_line_does_not_scan_a_text_without_line_ends() -> None:
    operations = Operations()
    with counted_operations(operations):
        assert end_of_line("x = [" + "1, " * 5_000, "2]") == -1
    assert operations.count == 0


@given(SOURCES, SOURCES)
def test_end_of_line_is_the_first_line_end_with_nothing_open(before: str, text: str) -> None:
    ends = [each.start for each in lex(before + text) if each.kind == "line" and not each.depth]
    assert end_of_line(before, text) == min(
        (end - len(before) for end in ends if end >= len(before)), default=-1
    )


@given(SOURCES)
def test_logical_lines_contain_all_lexemes_of_closed_lines(source: str) -> None:
    lines = [*logical_lines(source)]
    found = [each for line in lines for each in line if each.kind != "line"]
    assert found == [each for each in lex(source) if each.kind not in {"line", "comment"}][: len(found)]
    for *lexemes, end in lines:
        assert (end.kind, end.depth) == ("line", 0)
        assert all(each.kind != "line" for each in lexemes)
        assert lexemes[-1].text != "\\"


def test_logical_lines_continue_in_brackets_and_after_backslashes() -> None:
    lines = logical_lines("# a\n\nx = f(\n1)  # b\ny = \\\n2\nz = (")
    assert [[each.text for each in line] for line in lines] == [[*"x=f(1)", "\n"], [*"y=\\2", "\n"]]


@pytest.mark.parametrize(
    ("prefix", "suffix", "rest"),
    [
        ("f(", "a)\ny", "a)"),
        ("f(", "a,\n  b)\ny", "a,\n  b)"),
        ("x = 1\nf(", "a,\n  b", "a,"),
        ("f(", "a]\n)", "a]"),
        ("x", "", ""),
    ],
)
def test_rest_of_statement_ends_where_its_brackets_are_closed(prefix: str, suffix: str, rest: str) -> None:
    assert rest_of_statement(prefix, suffix) == rest


@given(SOURCES, SOURCES)
def test_rest_of_statement_starts_the_suffix(prefix: str, suffix: str) -> None:
    rest = rest_of_statement(prefix, suffix)
    assert suffix.startswith(rest)
    assert rest.startswith(suffix.partition("\n")[0])


@pytest.mark.parametrize(("text", "count"), [("", 0), ("a)\n]", 2), ("f(a))", 1), ("')' # )", 0)])
def test_closed_before_counts_brackets_of_the_text_before(text: str, count: int) -> None:
    assert closed_before(text) == count


@given(SOURCES, SOURCES)
def test_depths_are_those_of_lexemes_without_fields(before: str, text: str) -> None:
    code = (before + text).replace("f", "g").replace("F", "G")
    found = [lexeme for lexeme in lex(code) if lexeme.text in {*CLOSERS, *CLOSING}]
    expected = [lexeme.depth for lexeme in found if lexeme.start >= len(before)] + [len(scan(code).brackets)]
    assert depths(code[: len(before)], code[len(before) :]) == (expected[0], min(expected))


@pytest.mark.parametrize(
    ("before", "text", "expected"),
    [('f"{a', '}"', (1, 0)), ('f("{a', '}"', (1, 1)), ('f"{{a', '}}"', (0, 0))],
)
def test_depths_include_the_fields_of_strings(before: str, text: str, expected: tuple[int, int]) -> None:
    assert depths(before, text) == expected


@pytest.mark.parametrize(
    ("literal", "field"),
    [
        ('f"{df', "df"),
        ('f"{a} {b[', "b["),
        ('f"{a:{b', "b"),
        ('f"{f({1: 2}, c', "f({1: 2}, c"),
        ('f"{{{a', "a"),
        ('f"{{a', ""),
        ('f"{a}', ""),
        ('"{a', ""),
    ],
)
def test_open_field_returns_the_field_at_the_end(literal: str, field: str) -> None:
    (lexeme,) = lex(literal)
    assert open_field(lexeme) == field


CODE = st.text(alphabet="a ()[]{}'\"`", max_size=20)
QUOTE = st.sampled_from(["", "'", '"', "`"])


@pytest.mark.parametrize(("line", "quote"), golden("brackets", "open_quote"))
def test_open_quote_returns_the_quote_open_at_the_end(line: str, quote: str) -> None:
    assert open_quote(line) == quote


@pytest.mark.parametrize(("line", "quotes", "quote"), golden("brackets", "open_quote/of some"))
def test_open_quote_considers_only_the_given_quotes(line: str, quotes: str, quote: str) -> None:
    assert open_quote(line, quotes) == quote


def test_open_quote_ignores_too_long_lines() -> None:
    assert open_quote("'" + " " * (LINE - 1)) == "'"
    assert open_quote("'" + " " * LINE) == ""
    assert closers_after("f(" + " " * LINE, ")") == ""


@pytest.mark.parametrize(("text", "quote", "marks"), golden("brackets", "outside"))
def test_outside_excludes_opened_brackets(text: str, quote: str, marks: str) -> None:
    assert "".join("-+"[place] for place in outside(text, quote)) == marks


@pytest.mark.parametrize(("text", "closed", "length"), golden("brackets", "balanced_length"))
def test_balanced_length_excludes_brackets_closed_behind(text: str, closed: str, length: int) -> None:
    assert balanced_length(text, closed) == length


@given(CODE, st.text(alphabet=")]}", max_size=3))
def test_balanced_length_never_shrinks_for_a_longer_text(text: str, closed: str) -> None:
    lengths = [balanced_length(text[:end], closed) for end in range(len(text) + 1)]
    assert lengths == sorted(lengths)
    assert all(length <= end for end, length in enumerate(lengths))


@pytest.mark.parametrize(("before", "after", "length"), golden("brackets", "closing_length"))
def test_closing_length_counts_what_closes_open_brackets_and_quotes(
    before: str, after: str, length: int
) -> None:
    assert closing_length(before, after) == length


@pytest.mark.parametrize(("line", "rest", "closed"), golden("brackets", "closers_after"))
def test_closers_after_returns_brackets_that_close_the_line(line: str, rest: str, closed: str) -> None:
    assert closers_after(line, rest) == closed
