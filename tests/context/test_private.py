from __future__ import annotations

import pytest

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
    ],
)
def test_ordinary_lines_are_not(line: str) -> None:
    assert not looks_secret(line)


def test_only_the_lines_themselves_are_left_out() -> None:
    assert without_secrets("a = 1\nsecret = 'abcdef'\nb = 2") == "a = 1\nb = 2"
