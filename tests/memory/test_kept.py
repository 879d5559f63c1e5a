from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.memory import local_files
from jupyter_turbopilot.memory.entries import SMALL

from .folders import built, rests
from .notebooks import notebook

PATHS = (
    "a.ipynb",
    "d/b.py",
    "secrets.py",
    ".aws/c.ipynb",
    "credentials.py",
    "site-packages/d.py",
    ".e/f.ipynb",
)
SECRETS = (
    'qqtoken = "hunter2hunter2"',
    'qqkey = "sk-abcdefghijklmnopqrstuvwx"',
    "url = 'https://qq:qqqqqqqq@host/'",
)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How busy the machine is decides nothing here."""
    monkeypatch.setattr(local_files, "_ANSWER_IN", 5.0)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(PATHS),
        st.none() | st.lists(st.integers(0, 9), min_size=1, max_size=3),  # no lines: the file is deleted
        st.none() | st.sampled_from(SECRETS),
        st.sampled_from(["told", "worked", "neither"]),
    ),
    max_size=10,
)


def line(path: str, number: int) -> str:
    """A line that stands in one file alone, after an import that does, too."""
    name = "".join(filter(str.isalnum, path))
    return f"import module_{name}_{number} as alias_{name}_{number}\nwritten_in_{name}({number})"


def put(root: Path, path: str, source: str, clock: int) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    # Too long to be one entry with what follows.
    begins = f"def opening():\n    return {'x' * SMALL!r}"
    target.write_text(notebook(begins, source) if path.endswith(".ipynb") else f"{begins}\n\n\n{source}")
    os.utime(target, (clock, clock))  # a file system's own may stand still for some milliseconds


@settings(max_examples=25)
@given(CHANGES)
def test_recall_returns_nothing_of_a_private_path_a_secret_or_a_file_that_is_gone_or_changed(
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[str, list[int] | None, str | None, str]],
) -> None:
    root = tmp_path_factory.mktemp("root")
    there: dict[str, list[int]] = {}
    with closing(built(root)) as memory, closing(memory.builder._open()) as store:
        for clock, (path, numbers, secret, then) in enumerate(changes):
            if numbers is None:
                (root / path).unlink(missing_ok=True)
                there.pop(path, None)
            else:
                lines = [*(line(path, number) for number in numbers), *filter(None, [secret])]
                put(root, path, "\n".join(lines), clock)
                there[path] = numbers
            if then != "neither" or numbers is not None:
                memory.builder.changed(path)
            if then == "worked" or numbers is not None:
                memory.builder._work(store)
        expected = {
            text
            for path in there.keys() & {"a.ipynb", "d/b.py"}
            for number in there[path]
            for text in line(path, number).split("\n")
        }
        for begun in ("import ", "written_in_", "qq", "url"):
            assert {begun + rest for rest in rests(memory, begun)} == {
                text for text in expected if text.startswith(begun)
            }
        following = memory.following("python", [{"opening", "return"}], leaving=[])
        assert {found.path for found in following} == there.keys() & {"a.ipynb", "d/b.py"}
        for found in following:
            assert {*found.source.split("\n")} <= expected
        for path in PATHS:
            for number in range(10):
                (text, _) = line(path, number).split("\n")
                found_imports = [one for one, _ in memory.imports(text.rpartition(" ")[2])]
                assert found_imports == ([text] if text in expected else [])
