import ast
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis import syntax
from jupyter_turbopilot.analysis.syntax import faults, fitting, grammar_of
from jupyter_turbopilot.util.bounds import STATEMENT
from jupyter_turbopilot.util.syntax_tree import MOST

from ..shared_cases import golden

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


def test_judged_accepts_every_prefix_of_a_program() -> None:
    ast.parse(PROGRAM)
    for end in range(len(PROGRAM) + 1):
        text, rest = PROGRAM[:end], PROGRAM[end:]
        cuts_a_word = text[-1:].isalnum() and rest[:1].isalnum()
        cuts_a_sign = text[-1:] and text[-1:] in "*!=<>-:" and rest[:1] in "*=>"
        if not cuts_a_word and not cuts_a_sign:
            assert syntax.judged(text).valid, text[-60:]


KINDS = ("magics and comments", "repeated keywords", "wrong", "strings", "indentation")


@pytest.mark.parametrize(("text", "valid"), golden("grammar", *(f"valid_beginning/{kind}" for kind in KINDS)))
def test_judged_accepts_prefixes_with_a_valid_ending(text: str, valid: bool) -> None:
    assert syntax.judged(text).valid is valid


@given(st.text(max_size=60))
def test_judged_accepts_any_text(text: str) -> None:
    assert syntax.judged(text).valid in {True, False}


def test_judged_accepts_a_too_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = "x = = 1\n"
    assert not syntax.judged(wrong).valid
    assert syntax.judged(wrong * (STATEMENT // len(wrong) + 1)).valid
    monkeypatch.setattr(syntax, "_MOST", 10)
    assert syntax.judged("another = = 1\n").valid


def test_judged_accepts_text_with_too_many_words() -> None:
    text = "a;" * (MOST // 2) + "x"
    assert len(text) < STATEMENT
    assert syntax.judged(text).valid


PROGRAMS = {
    "r": [
        'df <- read.csv("data/sales.csv")\nby <- df %>%\n  group_by(month) %>%\n  summarise(total = sum(amount))',
        "f <- function(n) {\n  for (i in 2:sqrt(n)) {\n    if (n %% i == 0) {\n      return(FALSE)\n    }\n  }\n}",
        "ggplot(df, aes(x = x)) +\n  geom_point()\nsapply(1:10, function(x) x^2)\nwords <- c('a', \"b\")",
    ],
    "bash": [
        'for f in data/*.csv; do\n  echo "$f"\n  wc -l "$f" | tee out.txt\ndone',
        "if [ -d build ]; then\n  rm -rf build\nelse\n  mkdir build\nfi\ncd build && cmake ..",
        "find . -name '*.py' | xargs wc -l\nexport PATH=\"$HOME/bin:$PATH\"\nN=$(ls | wc -l)",
        "while read -r line; do\n  echo $((N + 1)) > log 2>&1\ndone < input.txt",
    ],
    "html": [
        "<html>\n<head>\n  <title>Report</title>\n</head>\n<body>\n  <h1 class='a'>It isn't</h1>\n</body>\n</html>",
        '<ul>\n  <li><a href="https://jupyter.org">One</a></li>\n</ul>\n<img src="logo.png">',
    ],
    "julia": ['function f(x)\n  for i in 1:10\n    x^2\n  end\nend\nusing Plots\nplot(xs, label="a")'],
    "javascript": [
        "const a = (b) => {\n  return `x ${b}`;\n};\nfor (let i = 0; i < 3; i++) {\n  foo(a, 'b');\n}",
        "function f(n) {\n  if (n === 1) {\n    return { a: [1, 2] };\n  }\n}\nclass A extends B {}",
    ],
    "sql": ["SELECT name, COUNT(*) AS n\nFROM sales\nWHERE amount > 100 AND name LIKE 'a b'\nGROUP BY name"],
    "c++": ['int main() {\n  int x = 1;\n  for (int i = 0; i < 3; i++) {\n    printf("%d", i);\n  }\n}'],
}
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
WORD = re.compile(r"\s*(?:\w+|%\S*%?|\)+|`[^`]*`|[^\w\s])")  # units within which no suggestion ends


@pytest.mark.parametrize(
    ("language", "text"), [(language, text) for language, texts in VALID_BEGINNINGS.items() for text in texts]
)
def test_faults_ignores_what_further_text_can_fix(language: str, text: str) -> None:
    assert faults(language, text) == 0


@pytest.mark.parametrize("language", PROGRAMS)
def test_faults_is_zero_for_every_prefix_of_a_program(language: str) -> None:
    wrong = [
        text[: word.end()]
        for text in PROGRAMS[language]
        for word in WORD.finditer(text)
        if faults(language, text[: word.end()])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("language", "prefix", "text"),
    [
        ("r", "x <- c(1, ", "2))"),
        ("r", "for (i ", "of 1:10) {"),
        ("julia", "x = f(", "1]"),
        ("lua", "if a then\n  x = (1 ", "end"),
        ("javascript", "const a = ", "for let"),
        ("javascript", "foo(", "a b c"),
    ],
)
def test_fitting_rejects_text_that_adds_errors(language: str, prefix: str, text: str) -> None:
    assert not fitting(language, prefix)(text)


def test_fitting_ignores_earlier_errors() -> None:
    assert fitting("javascript", "let let = = ;\nfoo(")("a)")


@pytest.mark.parametrize("language", ["python", "r", "klingon"])
def test_fitting_rejects_an_extra_bracket_in_any_language(language: str) -> None:
    assert fitting(language, "f(a")(")")
    assert not fitting(language, "f(a")("))")


def test_fitting_without_tree_sitter_checks_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tree_sitter_language_pack", None)
    grammar_of.cache_clear()
    try:
        assert grammar_of("r") is None
        assert fitting("r", "f(a")(" b of)")
        assert not fitting("r", "f(a")("]")
    finally:
        syntax.grammar_of.cache_clear()


@pytest.mark.parametrize(
    "text",
    ["x = [a b", "x = [a b ", "f(a,) c.d", "x = 1 2 3", "f(a 'b", "f(a f'{b} ", "x = [\n 1 2\n  3", "[a = "],
)
def test_judged_parses_once_if_no_further_text_can_mend_an_error(text: str) -> None:
    valid, parsed = syntax.judged(text)
    assert not valid
    assert parsed <= syntax._PER_WORD * len(text)


def test_judged_limits_the_work_for_one_text() -> None:
    valid, parsed = syntax.judged("x = [" + "1, " * 1500 + "f(**a, b, c")  # an error at no certain token
    assert valid
    assert parsed < 2 * syntax._MOST
    assert not syntax.judged("x = [f(**a, b, c").valid


@pytest.mark.parametrize("above", ["x = 1\n", "%time f(')\n\n", "x = f(a)]\n", "if x:\n    y\n"])
def test_fitting_checks_the_last_statement(above: str) -> None:
    fits = fitting("python", f"{above}y = f(")
    assert fits("a)")
    assert not fits("a]")


def test_fitting_rejects_everything_after_too_much_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syntax, "MOST_PARSED", 3000)
    fits = fitting("python", "x = ")
    assert not fits("= 1")
    assert fits("1")
    assert not all(fits(f"{number} + 1") for number in range(1000))


def test_fitting_rejects_unfitting_text_after_too_much_parsing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(syntax, "MOST_PARSED", 1)
    fits = fitting("python", "x = ")
    assert fits("1")  # uses up the limit before the prefix was checked
    assert not fits(")")


def test_fitting_checks_only_brackets_of_a_long_text() -> None:
    prefix = "# a comment\n" * (syntax.LONGEST_TREE // 10) + "f(a"
    assert fitting("r", prefix)(" b of)")
    assert not fitting("r", prefix)("]")


def test_fitting_accepts_everything_after_a_too_long_text() -> None:
    assert fitting("r", "x\n" * syntax.STATEMENT)("))")
