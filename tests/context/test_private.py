import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.context.private import (
    FOLDED,
    is_private_path,
    looks_secret,
    spread_secrets,
    without_secrets,
    without_spread_secrets,
)
from jupyter_turbopilot.util.bounds import LINE

from ..shared_cases import KEY_ROWS, SECRETS, golden

ROWS = [*KEY_ROWS, *SECRETS["forms"].values()]


@pytest.mark.parametrize(
    ("line", "secret"),
    [*golden("private", "looks_secret/known"), *golden("private", "looks_secret/known (server only)")],
)
def test_looks_secret_finds_plain_secrets(line: str, secret: bool) -> None:
    assert looks_secret(line) is secret


@pytest.mark.parametrize(("line", "secret"), golden("private", "looks_secret/ordinary"))
def test_looks_secret_accepts_ordinary_lines(line: str, secret: bool) -> None:
    assert looks_secret(line) is secret


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        *golden("private", "looks_secret/in other languages"),
        *golden("private", "looks_secret/in other languages (server only)"),
        *golden("private", "looks_secret/ordinary in other languages"),
    ],
)
def test_looks_secret_finds_secrets_in_several_languages(line: str, secret: bool) -> None:
    assert looks_secret(line) is secret


@pytest.mark.parametrize(("source", "left"), golden("private", "without_secrets"))
def test_without_secrets_removes_only_the_secret_lines(source: str, left: str) -> None:
    assert without_secrets(source) == left


def test_looks_secret_rejects_too_long_and_accepts_too_short_lines() -> None:
    assert looks_secret("a" * (LINE + 1))
    assert not looks_secret("a" * LINE)
    assert not looks_secret("a:='x'")


@pytest.mark.parametrize(
    ("start", "secret"),
    [
        ("", "'x', password='Tr0ub4dor3'"),
        ("", "'mysql -u bob -ps3cr3t99'"),
        ("", f"eyJhbGciOiJIUzI1NiJ9.{'eyJz' * 400}.signature"),
        ("", "password" + " " * 500 + "= 'Tr0ub4dor3'"),
        ("export A=1 ", "TOKEN=letmein99 "),
        ("curl ", "-u bob:letmein "),
        ("export A=1 && cd /srv/applications/production/current && curl -d '{} ", "' -u bob:letmein "),
    ],
)
@pytest.mark.parametrize("before", [0, 900, 1950, 1985, 2500, 17_900])
def test_looks_secret_searches_all_of_a_long_line(before: int, start: str, secret: str) -> None:
    filler = start + "x + " * (before // 4) + "+ "
    assert not looks_secret((filler + "y + " * 5000)[:LINE])
    assert looks_secret((filler + secret + " +" + " y +" * 5000)[:LINE])


def test_looks_secret_finds_the_value_of_one_of_many_names() -> None:
    names, values = ", ".join(f"c{number}" for number in range(500)), '"v", ' * 500
    assert looks_secret(f'{names}, password = {values}"letmein"')
    assert not looks_secret(f'{names}, password = {values}""')
    assert not looks_secret("x = other(b) or login(u)" + " + y" * 600 + " g(a, 'words')")


@pytest.mark.parametrize(
    ("line", "secret"), golden("private", "looks_secret/web tokens, annotations, dashes")
)
def test_looks_secret_handles_web_tokens_annotations_and_dashes(line: str, secret: bool) -> None:
    assert looks_secret(line) is secret


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["what"])
def test_examples_of_secrets_are_found_and_counter_examples_are_not(row: dict[str, str]) -> None:
    assert spread_secrets(row["example"].splitlines())
    assert not spread_secrets(row["counter"].splitlines())


@pytest.mark.parametrize("row", SECRETS["rows"]["files"], ids=lambda row: row["what"])
def test_examples_of_credential_files_are_private_and_counter_examples_are_not(row: dict[str, str]) -> None:
    assert is_private_path(f"a/{row['example']}")
    assert not is_private_path(f"a/{row['counter']}")


@pytest.mark.parametrize(
    "row",
    KEY_ROWS,
    ids=lambda row: row["what"],
)
def test_example_of_a_key_matches_its_own_pattern(row: dict[str, str]) -> None:
    pattern = re.compile(row["pattern"].replace("\\ ", " "), re.IGNORECASE)
    assert pattern.search(row["example"])
    assert not pattern.search(row["counter"])


@pytest.mark.parametrize(
    "line",
    [
        "(user, password) = ('bob', 'letmein')",
        'const [user, pw] = ["bob", "letmein"];',
        'user, pwd := "bob", "letmein"',
        "pw = 'correct horse'",
        'mysql_pw <- "letmein"',
        "DJANGO_KEY = 'x9$kq!Lw7#pZ2v'",
        'key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"',
        "key: str = 'EzhFasuSts23rkj71DFT'",
        "session_key = b'S3cret!pass'",
        "if password == 'letmein':",
        "assert 'secret' != 'letmein'",
        "token = os.getenv('API_TOKEN', 'letmein')",
        "parser.add_argument('--password', default='letmein')",
        "!tool --password letmein --verbose",
        "!vault login --token=letmein",
    ],
)
def test_looks_secret_finds_passwords_in_further_forms(line: str) -> None:
    assert looks_secret(line)


@pytest.mark.parametrize(
    "line",
    [
        "key = 'temperature_2m_max'",
        "key = 'Sentinel2_L2A_B04'",
        "key = 'https://host/Path1$2!'",
        "groups[key] = 'value of 3'",
        "monkey = 'x9$kq!'.lower()[0]",
        "tokens, labels = data['tokens'], data['labels']",
        "tokens, labels = tokenizer(x, 'longest')",
        "def f(a, token=None, kind='words'):",
        "pw, n = stats.power(x, kind='two-sided'), 3",
        "spw = 'spectral window'",
        "if token == 'else':",
        "os.environ.get('SORT_KEY', 'name')",
        "parser.add_argument('--tokenizer', default='bert-base')",
        "!tool --password $PASSWORD --verbose",
        "!tool --max-tokens 409600",
        "name = 'asiapacificcooperation'",
    ],
)
def test_looks_secret_passes_similar_ordinary_lines(line: str) -> None:
    assert not looks_secret(line)


@given(st.text(max_size=200))
def test_without_secrets_leaves_no_secret_and_all_other_lines(source: str) -> None:
    left = without_secrets(source).splitlines(keepends=True)
    assert left == [line for line in source.splitlines(keepends=True) if not looks_secret(line)]


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ('x = 1\npassword = (\n    "hunter2hunter2"\n)\n', "x = 1\n)\n"),
        ("api_key = \\\n\n    'abcd1234'\ny = 2\n", "y = 2\n"),
        ('headers = {\n    "token":\n        "abcdefghijkl",\n}\n', "}\n"),
        ('password = (\n    "abcdefgh"\n    "hunter2hunter2"\n)\ny = 2\n', ")\ny = 2\n"),
        ('password = (\n    # the old one\n    "hunter2hunter2"\n)\n', ")\n"),
        ('password <-\n    "hunter2hunter2"\ny <- 2\n', "y <- 2\n"),
        ('password = """\nhunter2hunter2\n"""\n', '"""\n'),
        ("mysql \\\n  --password \\\n    hunter2hunter2\nls\n", "ls\n"),
        ("for token in tokens:\n    print('token')\n", "for token in tokens:\n    print('token')\n"),
        ("f(\n    token='abcd1234',\n)\n", "f(\n)\n"),
        ("x = [\n    'hello world',\n]\n", "x = [\n    'hello world',\n]\n"),
    ],
)
def test_without_spread_secrets_finds_secrets_on_several_lines(source: str, left: str) -> None:
    assert without_spread_secrets(source) == left


def test_looks_secret_searches_every_line_with_a_folded_letter() -> None:
    folded = [sign for sign in map(chr, range(128, sys.maxunicode)) if re.match("[ -~]", sign, re.IGNORECASE)]
    assert folded
    assert all(map(FOLDED.fullmatch, folded))
    assert looks_secret("pa\u017f\u017fword = 'dBzk4pRt2x'")
    assert looks_secret("пароль, password = 'dBzk4pRt2x'")
