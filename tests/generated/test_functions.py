"""Functions that return the same in Python and TypeScript, tested with hypothesis.

Without a server, a page runs the TypeScript functions. Their names are those in
`labextension/src/local/testing/functions.ts`. Limits of many thousand characters are tested in test_bounds.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis import languages, lexer
from jupyter_turbopilot.completer import alternatives
from jupyter_turbopilot.context import private
from jupyter_turbopilot.prompt import formats
from jupyter_turbopilot.protocol.engine_request import Token
from jupyter_turbopilot.suggestion import surroundings
from jupyter_turbopilot.util import bounds

from ..shared_cases import GOLDEN, KEY_ROWS, Twins, golden
from .kinds import EXAMPLES, LANGUAGE, LINE, LINES, PIECES, QUOTE, TEXT

SIMPLE: dict[str, tuple[Callable[..., Any], tuple[st.SearchStrategy[Any], ...]]] = {
    "end_of": (bounds.end_of, (TEXT, st.integers(0, 50))),
    "cell_magic": (languages.cell_magic, (TEXT,)),
    "without_cell_magic": (languages.without_cell_magic, (TEXT,)),
    "without_commands": (languages.without_commands, (TEXT,)),
    "cell_language": (languages.cell_language, (TEXT, LANGUAGE)),
    "comment_mark": (languages.comment_mark, (LANGUAGE,)),
    "is_private_path": (
        private.is_private_path,
        (
            st.lists(
                st.sampled_from([".env", ".ssh", "/", "\\", "a", "id_rsa", ".pub", "İd_rsa", "\u0131d_dsa", "credentials",
                                 "secrets", ".json", "service_account", ".key", "\n", ".", "é", "K.key", "\u017fecret"]),
                max_size=6,
            ).map("".join)
            | TEXT,
        ),
    ),
    "keep_tail": (formats.keep_tail, (TEXT, st.integers(-2, 50))),
    "pieces_left_out": (
        formats.pieces_left_out,
        (st.lists(st.integers(0, 400), max_size=12), st.integers(0, 300), st.integers(-5, 1000)),
    ),
    "open_quote": (lexer.open_quote, (TEXT, st.sampled_from(["\"'`", "'\"", "`"]))),
    "outside": (
        lambda text, quote: "".join("-+"[place] for place in lexer.outside(text, quote)), (TEXT, QUOTE),
    ),
    "balanced_length": (lexer.balanced_length, (TEXT, st.text(alphabet=")]}", max_size=3))),
    "closers_after": (lexer.closers_after, (LINE, st.text(alphabet=")]}'\" (x,", max_size=12) | LINE)),
    "lex": (lambda text: [[x.kind, x.text, x.start, x.unclosed] for x in lexer.lex(text)], (TEXT,)),
    "end_of_line": (lexer.end_of_line, (LINE, TEXT)),
    "indentation": (surroundings.indentation, (TEXT,)),
}  # fmt: skip


# The page recognizes fewer secrets than the server.
FEWER = {"looks_secret": private.looks_secret, "without_secrets": private.without_secrets}
DIFFERENCES = [*json.loads((GOLDEN / "differences.json").read_text("utf-8"))]


@EXAMPLES
@given(LINE)
def test_looks_secret_finds_what_the_page_finds(twins: Twins, line: str) -> None:
    assert private.looks_secret(line) or not twins("looks_secret", line)


@pytest.mark.parametrize(
    "row",
    KEY_ROWS,
    ids=lambda row: row["what"],
)
def test_the_page_finds_the_examples_of_its_rows(twins: Twins, row: dict[str, Any]) -> None:
    assert twins("looks_secret", row["example"]) is not row.get("server_only", False)
    assert not twins("looks_secret", row["counter"])


@pytest.mark.parametrize("name", SIMPLE)
def test_functions_of_texts_and_numbers_answer_alike(twins: Twins, name: str) -> None:
    function, kinds = SIMPLE[name]

    @EXAMPLES
    @given(st.tuples(*kinds))
    def check(given: tuple[Any, ...]) -> None:
        assert twins(name, *given) == function(*given)

    check()


@EXAMPLES
@given(TEXT, TEXT, LINES, st.integers(1, 9))
def test_the_surroundings_are_the_same(twins: Twins, prefix: str, suffix: str, lines: Any, most: int) -> None:
    found = asdict(surroundings.surroundings_of(prefix, suffix, lines, most))
    own = twins("surroundings_of", prefix, suffix, lines, most)
    assert own == {name: found[name] for name in own}


@EXAMPLES
@given(
    st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from([0.1, 0.5, 0.5, 0.95])), max_size=9),
    st.integers(0, 5),
)
def test_alternatives_branch_off_at_the_same_tokens(
    twins: Twins, written: list[tuple[str, float]], count: int
) -> None:
    tokens = [Token(text.encode(), chance, number) for number, (text, chance) in enumerate(written)]
    found = [[len(kept), banned] for kept, banned in alternatives.branches(tokens, count)]
    assert twins("branches", [text for text, _ in written], [chance for _, chance in written], count) == found


@pytest.mark.parametrize("name", DIFFERENCES)
def test_functions_handle_documented_language_differences(name: str) -> None:
    function = FEWER.get(name.split("/", maxsplit=1)[0]) or SIMPLE[name][0]
    for *arguments, expected in golden("differences", name):
        assert function(*arguments) == expected
