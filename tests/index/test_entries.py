import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.lines import lines_of
from jupyter_turbopilot.context.private import looks_secret
from jupyter_turbopilot.index.entries import LARGE, Page, page_of

from .notebooks import notebook

CODE = st.text(alphabet=st.sampled_from("ab_=(\"')\n\t #%!:.1\r\x0c\u2028é\ud800"), max_size=200)
SECRETS = (
    'password = "hunter2hunter2"',
    'os.environ["API_KEY"] = "abcdefgh12345678"',
    "key = 'AKIAABCDEFGHIJKLMNOP'",
    "url = 'https://someone:something@host/'",
)


def sources(path: str, text: str) -> list[tuple[str, str]]:
    return [(entry.language, entry.source) for entry in page_of(path, text)]


def test_page_of_makes_each_code_cell_an_entry() -> None:
    text = notebook("import x\nx.run()", "# Title", "y = 2", kinds=("code", "markdown", "code"))
    assert sources("a.ipynb", text) == [("python", "import x\nx.run()"), ("python", "y = 2")]


def test_page_of_uses_the_language_of_a_cell_magic() -> None:
    text = notebook(
        "%%bash\nls -l data", "%%time\nslow()\n%matplotlib inline\n!ls", "%%writefile x.py\nkey = 1"
    )
    assert sources("a.ipynb", text) == [("bash", "ls -l data"), ("python", "slow()")]


def test_page_of_uses_the_language_of_the_notebook() -> None:
    assert sources("a.ipynb", notebook("library(ggplot2)", language="R")) == [("r", "library(ggplot2)")]


def test_page_of_splits_a_file_between_top_level_blocks() -> None:
    one = "def one():\n" + "    first_line_of_it()\n" * 20
    two = "def two():\n" + "    second_line_of_it()\n\n" * 20
    found = sources("m.py", f"import a\n\n\n{one}\n\n{two}")
    assert [source.split("(")[0].split("\n")[-1] for _, source in found] == ["import a", "def one", "def two"]
    assert all(language == "python" for language, _ in found)


def test_page_of_splits_a_large_block_between_lines() -> None:
    line = "value = compute(something)"
    found = sources("m.py", "\n".join([f"{line}  # {number}" for number in range(1000)]))
    assert len(found) > 5
    assert all(len(source) <= LARGE and source.startswith(line) for _, source in found)
    assert sum(source.count("\n") + 1 for _, source in found) == 1000


@pytest.mark.parametrize("in_file", [True, False])
@pytest.mark.parametrize("lines", range(90, 100))
def test_page_of_removes_secrets_that_span_lines(lines: int, in_file: bool) -> None:
    above = "\n".join(f"value_{at:03} = compute({at:03})" for at in range(lines))
    text = f"{above}\npassword = (\n    'hunter2hunter2'\n)\nafter = 1"
    found = sources("a.py", text) if in_file else sources("a.ipynb", notebook(text))
    indexed = "\n".join(source for _, source in found)
    assert "hunter2" not in indexed
    assert "after = 1" in indexed


def test_page_of_removes_secrets_that_begin_with_a_command() -> None:
    cell = "!mysql --password \\\n    hunter2hunter2\nafter = 1"
    assert sources("a.ipynb", notebook(cell)) == [("python", "after = 1")]


def test_page_of_rejects_private_files() -> None:
    assert page_of("secrets.py", "ordinary = 1") == Page()
    assert page_of(".aws/a.ipynb", notebook("ordinary = 1")) == Page()


def test_page_of_removes_a_cell_with_a_private_key() -> None:
    key = 'KEY = """-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA0Z3VS5JJcds3xfn\n-----END RSA PRIVATE KEY-----"""'
    assert sources("a.ipynb", notebook(key, "fine = 1")) == [("python", "fine = 1")]


BASE64 = st.text(alphabet=st.sampled_from("abcdXYZ0129+/"), min_size=64, max_size=64)
BODIES = st.lists(BASE64, min_size=1, max_size=6).map(lambda lines: lines * 12)


@settings(max_examples=50)
@given(
    st.sampled_from(["RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK", "CERTIFICATE"]),
    BODIES,
    st.sampled_from(["", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123\n\n"]),
    st.booleans(),
    st.booleans(),
)
def test_page_of_removes_all_lines_of_a_private_key(
    kind: str, body: list[str], head: str, ends: bool, in_file: bool
) -> None:
    end = f"-----END {kind}-----" if ends else ""
    key = "\n".join([f'KEY = """-----BEGIN {kind}-----', head + body[0], *body[1:], f'{end}"""'])
    text = f"before = 1\n\n{key}\n\nafter = 2"
    found = sources("a.py", text) if in_file else sources("a.ipynb", notebook("before = 1", key, "after = 2"))
    indexed = "\n".join(source for _, source in found)
    assert "before = 1" in indexed
    assert ("after = 2" in indexed) == (ends or not in_file)
    assert not any(line in indexed for line in body)


@given(st.lists(CODE, max_size=5), st.sampled_from(SECRETS), st.integers(0, 200), st.booleans())
def test_lines_of_contains_no_secrets(cells: list[str], secret: str, at: int, in_file: bool) -> None:
    for number, cell in enumerate(cells):
        cells[number] = f"{cell[:at]}\n{secret}\n{cell[at:]}"
    page = page_of("a.py", "\n\n".join(cells)) if in_file else page_of("a.ipynb", notebook(*cells))
    for entry in page:
        assert not any(map(looks_secret, entry.source.split("\n")))
        assert not any(secret in (line.text, line.above) for line in lines_of(entry.source))


@given(CODE)
def test_page_of_returns_storable_text_with_line_feeds(source: str) -> None:
    for entry in page_of("a.py", source):
        assert entry.source == entry.source.encode().decode()
        assert entry.source.splitlines() == entry.source.split("\n")
        assert entry.source.strip()


@pytest.mark.parametrize("section", [{"enabled": False}, {"enabled": "no"}, None, False])
def test_page_of_a_disabled_notebook_is_empty(section: Any) -> None:
    content = json.loads(notebook("x_lesson = 1"))
    assert page_of("a.ipynb", json.dumps(content))
    content["metadata"]["turbopilot"] = section
    assert page_of("a.ipynb", json.dumps(content)) == Page()
