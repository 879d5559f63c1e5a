from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.bounds import LINE
from jupyter_turbopilot.context.private import looks_secret, without_secrets


@pytest.mark.parametrize(
    "line",
    [
        'password = "hunter22"',
        "os.environ['API_KEY'] = 'abcdef'",
        'token: str = "abcd1234"',
        "login(password='letmein')",
        "export GH=ghp_abcdefghijklmnopqrstuvwxyz012345",
        "-----BEGIN RSA PRIVATE KEY-----",
        "url = 'postgres://me:secret@host/db'",
        "AKIAIOSFODNN7EXAMPLE",
        "curl -H Authorization: Bearer abcdefgh12345678",
        '"Authorization: Basic dXNlcjpwYXNz"',
    ],
)
def test_lines_that_spell_out_a_secret_are_known(line: str) -> None:
    assert looks_secret(line)


@pytest.mark.parametrize(
    "line",
    [
        "token = tokens[0]",
        "password = getpass()",
        "for key in keys:",
        "author = 'Ann Author'[:3]",
        "x = 'https://a.b/c'",
        'ids = tokenizer("some text")',
        "words = nltk.word_tokenize('some text')",
        "# authorization: see the manual",
    ],
)
def test_ordinary_lines_are_not(line: str) -> None:
    assert not looks_secret(line)


def test_only_the_lines_themselves_are_left_out() -> None:
    assert without_secrets("a = 1\nsecret = 'abcdef'\nb = 2") == "a = 1\nb = 2"


def test_a_line_too_long_to_check_counts_as_secret_and_one_too_short_as_none() -> None:
    assert looks_secret("a" * (LINE + 1))
    assert not looks_secret("a" * LINE)
    assert not looks_secret("a:='x'")


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.signature", True),
        ("eyJhbGciOiJIUzI1NiJ9", False),
        ("token: Optional[str] = 'abcd1234'", True),
        ("token: str\nname = 'abcd1234'", False),
        ("api-key = 'abcd1234'", True),
    ],
)
def test_web_tokens_annotations_and_dashes(line: str, secret: bool) -> None:
    assert looks_secret(line) is secret


@given(st.text(max_size=200))
def test_what_is_left_has_no_line_that_looks_secret_and_lacks_no_other(source: str) -> None:
    left = without_secrets(source).splitlines(keepends=True)
    assert left == [line for line in source.splitlines(keepends=True) if not looks_secret(line)]
