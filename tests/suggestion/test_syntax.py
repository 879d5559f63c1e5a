from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.bounds import STATEMENT
from jupyter_turbopilot.suggestion import syntax
from jupyter_turbopilot.suggestion.syntax import scan, valid_beginning
from jupyter_turbopilot.syntax_tree import MOST

from ..twins import golden

PROGRAM = '''\
import numpy as np
from pathlib import (
    Path,
)

@decorated(1)
async def main(a, *rest, key: int = 3, **more) -> None:
    """Say 'something'."""
    for i, (b, c) in enumerate(zip(a, rest)):
        if not b and c != {"x": [1, 2]}["x"][0]:
            print(f"{b:>4} of {c!r}", end="")  # a comment's "quote
        elif isinstance(b, (int, str)):
            del rest[0]
        else:
            raise ValueError('no \\'way\\'') from None
    with open("a") as file, Path("b").open() as other:
        values = [x ** 2 for x in file if x] + [lambda y: y]
    try:
        await values[1:-1:2](key=more)
    except (OSError, KeyError) as error:
        assert error, "message"
    finally:
        a = b = yes if key else no
    while True:
        return {k: v for k, v in more.items()}
'''


def test_every_beginning_of_a_program_that_cuts_no_word_is_valid() -> None:
    ast.parse(PROGRAM)
    for end in range(len(PROGRAM) + 1):
        text, rest = PROGRAM[:end], PROGRAM[end:]
        cuts_a_word = text[-1:].isalnum() and rest[:1].isalnum()
        cuts_a_sign = text[-1:] and text[-1:] in "*!=<>-:" and rest[:1] in "*=>"
        if not cuts_a_word and not cuts_a_sign:
            assert valid_beginning(text), text[-60:]


@pytest.mark.parametrize(("text", "valid"), golden("grammar", "valid_beginning/magics and comments"))
def test_magics_and_comments_are_no_errors(text: str, valid: bool) -> None:
    assert valid_beginning(text) is valid


@pytest.mark.parametrize(("text", "valid"), golden("grammar", "valid_beginning/wrong"))
def test_what_no_ending_can_mend_is_not_valid(text: str, valid: bool) -> None:
    assert valid_beginning(text) is valid


@given(st.text(max_size=60))
def test_any_text_gets_an_answer(text: str) -> None:
    assert valid_beginning(text) in {True, False}


@pytest.mark.parametrize(("text", "valid"), golden("grammar", "valid_beginning/strings"))
def test_a_string_may_end_anywhere(text: str, valid: bool) -> None:
    assert valid_beginning(text) is valid


@pytest.mark.parametrize(("text", "valid"), golden("grammar", "valid_beginning/indentation"))
def test_a_line_stands_right_below_another_or_opens_a_block(text: str, valid: bool) -> None:
    assert valid_beginning(text) is valid


@pytest.mark.parametrize(("text", "opened"), golden("lexer", "scan"))
def test_what_is_open_at_the_end_of_a_text(text: str, opened: list[object]) -> None:
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
def test_the_last_statement_begins_where_nothing_above_it_can_matter(text: str, start: int) -> None:
    assert scan(text).start == start


def test_a_text_too_long_to_parse_counts_as_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = "x = = 1\n"
    assert not valid_beginning(wrong)
    assert valid_beginning(wrong * (STATEMENT // len(wrong) + 1))
    monkeypatch.setattr(syntax, "_MOST", 10)
    assert valid_beginning("another = = 1\n")


def test_valid_beginning_accepts_text_with_too_many_words() -> None:
    text = "a;" * (MOST // 2) + "x"
    assert len(text) < STATEMENT
    assert valid_beginning(text)
