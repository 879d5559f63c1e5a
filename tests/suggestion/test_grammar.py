from __future__ import annotations

import re
import sys

import pytest

from jupyter_turbopilot.suggestion import grammar
from jupyter_turbopilot.suggestion.grammar import faults, fitting, grammar_of

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
WORD = re.compile(r"\s*(?:\w+|%\S*%?|\)+|`[^`]*`|[^\w\s])")  # what no suggestion ends within


@pytest.mark.parametrize(
    ("language", "text"), [(language, text) for language, texts in VALID_BEGINNINGS.items() for text in texts]
)
def test_what_may_go_on_to_become_a_program_is_not_wrong(language: str, text: str) -> None:
    assert faults(language, text) == 0


@pytest.mark.parametrize("language", PROGRAMS)
def test_wherever_a_program_is_left_off_nothing_of_it_is_wrong(language: str) -> None:
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


def test_once_an_answer_has_cost_too_much_parsing_nothing_more_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "PATIENCE", 3000)
    fits = fitting("python", "x = ")
    assert not fits("= 1")
    assert fits("1")
    assert not all(fits(f"{number} + 1") for number in range(1000))


def test_an_answer_that_never_fitted_does_not_fit_when_it_has_cost_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grammar, "PATIENCE", 1)
    fits = fitting("python", "x = ")
    assert fits("1")  # costs all there is, and the beginning was not judged yet
    assert not fits(")")


def test_a_long_text_is_judged_by_its_brackets() -> None:
    prefix = "# a comment\n" * (grammar.LONGEST_TREE // 10) + "f(a"
    assert fitting("r", prefix)(" b of)")
    assert not fitting("r", prefix)("]")


def test_behind_a_text_too_long_to_parse_everything_fits() -> None:
    assert fitting("r", "x\n" * grammar.STATEMENT)("))")
