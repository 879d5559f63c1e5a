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
        'pwd = "Winter2026!xK"',
        'db_creds = "Spring#99pQ"',
        'cred = ("admin", "Spring#99pQ")',
        'creds = ["bob", "Spring#99pQ"]',
        'requests.get(url, auth=("bob", "Autumn!77Zk"))',
        'requests.get(url, auth=(user, b"Autumn!77Zk"))',
        'auth = HTTPBasicAuth("bob", "Autumn!77Zk")',
        'login("bob", "Winter2026!xK")',
        'smtp.login("me@x.org", "Tulpe4711!zz")',
        'smtp.login(getuser(), "Tulpe4711!zz")',
        "client.login(user=me, key='Tulpe4711')",
        'wandb.login(key="9d71491b50023b06fc76928e6eddb952c3d6a1f0")',
        'x = "9D71491B50023B06FC76928E6EDDB952"',
        "tenant = '9d71491b-5002-3b06-fc76-928e6eddb952'",
        'x = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzK4EPLfx"',
        'hook = "https://hooks.slack.com/services/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"',
        'sk = "sk_live_51H8abcdefgh"',
        "!stripe --key rk_test_51H8abcdefgh",
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
        "smtp.login(user, password)",
        'def login(user="alice"):',
        'url = url_for_login("home")',
        '@login("required")',
        'smtp.login(os.environ["MAIL_USER"], os.environ["MAIL_PASS"])',
        'requests.get(url, auth=(os.environ["NAME"], os.environ["KEY"]))',
        'send(auth[0], name="auth")',
        'accredited, credit = "some", "text"',
        "sacred = 'some text'",
        "sk_test_predictions = model.predict(x)",
        'AutoModel.from_pretrained("sentence-transformers/all-MiniLM-L6-v2")',
        'frame["mean_of_column_1_and_column_2_since_2019"]',
        'from_name("Qwen3OmniMoeThinkerTextDecoderLayer")',
        '"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"',
        '"00000000000000000000000000000000000000000"',
        '"================================================================"',
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


@given(st.sampled_from("\"'"), st.text("0123456789abcdef", min_size=30, max_size=90))
def test_a_long_hexadecimal_value_is_a_secret_in_quotes_alone(quote: str, digits: str) -> None:
    value = f"a1{digits}"
    assert looks_secret(f"x = {quote}{value}{quote}")
    assert not looks_secret(f"x = {value}")


@given(
    st.lists(st.from_regex(r"[A-Z]?[b-z]{5,9}[0-9]?", fullmatch=True), min_size=1, max_size=20),
    st.sampled_from("_-/ +"),
)
def test_words_that_are_joined_are_no_secret_however_many(words: list[str], sign: str) -> None:
    if not any(name in "".join(words).lower() for name in ("token", "pwd", "secret", "key", "login", "cred")):
        assert not looks_secret(f'x = "{sign.join(words)}"')


@given(st.text(max_size=200))
def test_what_is_left_has_no_line_that_looks_secret_and_lacks_no_other(source: str) -> None:
    left = without_secrets(source).splitlines(keepends=True)
    assert left == [line for line in source.splitlines(keepends=True) if not looks_secret(line)]
