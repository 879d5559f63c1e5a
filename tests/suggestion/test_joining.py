import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.lexer import scan
from jupyter_turbopilot.analysis.syntax import judged
from jupyter_turbopilot.suggestion import joining as module
from jupyter_turbopilot.suggestion.joining import joining, joining_part
from jupyter_turbopilot.suggestion.trim import is_word

from ..analysis.test_syntax import PROGRAM
from ..shared_cases import golden


@pytest.mark.parametrize(
    "case",
    golden(
        "joining",
        "joined",
        "joined/what the rest contains",
        "joined/the brackets around the cursor",
        "joined/within a word",
    ),
)
def test_joining_keeps_what_the_rest_of_the_statement_can_follow(case: Sequence[Any]) -> None:
    prefix, suffix, text, language, *texts, kept = case
    assert joining_part(text, joining(language, prefix, suffix, *texts)) == kept


def test_joining_rejects_everything_after_too_much_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PARSED", 3000)
    joins = joining("python", "f(", ")")
    assert joins("1")
    assert not all(joins(f"{number} + 1") for number in range(1000))


@pytest.mark.parametrize("length", [module.LONGEST_JOINED // 6 + 1, module.STATEMENT])
def test_joining_checks_only_the_line_of_a_long_statement(length: int) -> None:
    prefix = "if x:\n" + "    y\n" * length + "    print(x["
    joins = joining("python", prefix, "])")
    assert joins("0")
    assert not joins("0] + y")
    assert joining("python", "x" * (module.STATEMENT + 1), "]")("](")


LINES = (
    'm = df["rain"].dropna().mean()', "x = [f(a)[0] for a in b if a]", "df.loc[df['a'] > 3, ['b', 'c']] = 0",
    "print(f'{x:>4} of {y!r}', end='')", "ax.plot(x, y, label='it\\'s', c=(1, 2))", "x = {'a': [1, (2, 3)]}['a']",
    *(line for line in PROGRAM.splitlines() if line[:1].strip()),
)  # fmt: skip
CODE = st.lists(
    st.sampled_from(["a", " ", ".", "(", ")", "[", "]", '"', "'", ", ", "# ", '"].b(', "=", "not ", ": "])
).map("".join)


@given(st.sampled_from(LINES), st.data())
def test_joining_keeps_a_valid_line_valid(line: str, data: st.DataObject) -> None:
    start, end = sorted(data.draw(st.tuples(st.integers(1, len(line)), st.integers(1, len(line)))))
    prefix, recorded, rest = line[:start], line[start:end], line[end:]
    text = data.draw(st.just(recorded) | CODE | CODE.map(recorded.__add__))
    kept = joining_part(text, joining("python", prefix, rest, [line]))
    assert text.startswith(kept)
    if rest.strip() and is_complete(prefix + rest):
        assert is_complete(prefix + kept + rest)
    divides_words = is_word(prefix[-1]) and is_word(rest[:1]) and not all(map(is_word, recorded))
    divides_sign = recorded[-1:] == rest[:1] == "*"
    is_further_target = rest.lstrip()[:1] in {"=", ":"}
    if text != recorded or text != recorded.rstrip() or not is_complete(line):
        return
    closes_brackets = not scan(recorded).balanced
    if not (divides_words or divides_sign or is_further_target or closes_brackets):
        assert kept == recorded


def is_complete(source: str) -> bool:
    opened = scan(source)
    return judged(source).valid and not opened.brackets and not opened.quote


PARTS = st.lists(
    st.sampled_from(["an", "x", ".", "(", ")", "()", "[0]", " + ", " > 80", ", ", "ser", "_", " ", "="])
).map("".join)


@given(
    st.sampled_from(["df.me", 'df["x"].', "y = f(a.", "if x.ma"]),
    st.sampled_from(["()", "(1)", "(b).c"]),
    PARTS,
)
def test_joining_leaves_a_call_to_the_name_at_the_cursor(prefix: str, call: str, text: str) -> None:
    rest = call + (")" if prefix.count("(") else "") + (" > 80:" if prefix.startswith("if") else "")
    kept = joining_part(text, joining("python", prefix, rest))
    assert not kept[:1].isalpha() or kept.replace(".", "").isidentifier()
    assert not kept.endswith(")")


@given(
    st.sampled_from(["f(pri", '"pri', "# pri", "x = pri", "x."]), st.sampled_from(["ser", "s", "x)"]), PARTS
)
def test_joining_completes_a_word_only_to_a_known_one(prefix: str, suffix: str, text: str) -> None:
    known = ["prianser", "anser", "x_ser", "xs"]
    kept = joining_part(text, joining("python", prefix, suffix, known))
    rest = suffix.rstrip(")")
    completed = re.findall(r"\w+", f"{prefix[-3:]}{kept}{rest}") if kept else []
    assert not (kept and is_word(kept[-1])) or completed[-1] in known
    assert not (kept and prefix[-1] != ".") or all(map(is_word, kept))


def test_joining_finds_known_words_once() -> None:
    texts = iter(["user", "laser"])
    joins = joining("python", "print(", "ser)", texts)
    assert joins("u")
    assert joins("la")
    assert not joins("x")
    assert next(texts, None) is None
