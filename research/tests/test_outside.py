"""The adapters of research/benchmarks/outside.py to tasks that other people made."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import outside
import pytest

REGION = "<|editable_region_start|>\nb = a{}\nc = 3\n<|editable_region_end|>"
SAMPLE = {
    "input": {
        "excerpt": f"```x.py\na = df\n{REGION.format('<|user_cursor_is_here|>)')}\nd = 4\n```\n",
        "variables": [{"name": "df", "type": "DataFrame [2, 1]", "value": "Columns:\n* price: int64"}],
    },
    "output": REGION.format(".sum()"),
}


def test_nes_tasks_are_the_insertions_at_the_cursor(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    for name, output in (("one", SAMPLE["output"]), ("two", REGION.format(".sum("))):
        (tmp_path / "samples" / f"{name}.json").write_text(json.dumps(SAMPLE | {"output": output}))
    tasks = dict(outside.nes_tasks(tmp_path))
    assert tasks["two"] is None
    task = tasks["one"]
    assert task
    assert (task.before, task.wanted, task.after) == ("a = df\nb = a", ".sum(", ")\nc = 3\nd = 4")
    assert task.context.names["df"].columns == ["price"]
    assert task.is_exact(".sum(")
    assert not task.is_exact(".mean(")
    assert not task.is_exact("")


@pytest.mark.parametrize(
    ("wanted", "text", "cause"),
    [
        ("df.a", "", "nothing suggested"),
        ("df.a\nb", "df.a", "a line is missing"),
        ("df.ab", "df.a", "cut too early"),
        ("df", "df.a", "too long"),
        ("df", "x", "another choice of known names"),
        ("other", "x", "a name is not in the context"),
    ],
)
def test_cause_sorts_the_misses(wanted: str, text: str, cause: str) -> None:
    assert outside.cause(outside.Task("", "df = 1\n", wanted, ""), text) == cause


@pytest.mark.parametrize(
    "source",
    [
        "n = int(input())\nprint({})",
        "import sys\nn = int(sys.stdin.buffer.read())\nsys.stdout.write(str({}))\nsys.stdout.close()\nexit()",
        "import atexit\nn = int(open(0).read())\natexit.register(lambda: print({}))",
    ],
)
def test_safim_tasks_run_with_each_input(source: str, tmp_path: Path) -> None:
    raw = {
        "lang": "python",
        "task_id": "own",
        "prompt": "Complete it:\n\nDescription: Double a number.\n\nCode:\n\n# TODO",
        "eval_prompt": source.replace("{}", outside.HOLE),
        "ground_truth": "2 * n",
        "unit_tests": [{"input": "2\n", "output": ["4"]}, {"input": "3", "output": ["5", "6"]}],
    }
    path = tmp_path / "tasks.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(raw).encode()))
    (task,) = outside.safim_tasks(path)
    assert task.above == "Description: Double a number."
    assert task.passes("n + n")
    assert not task.passes("n * n")


def test_infilling_tasks_run_their_tests(tmp_path: Path) -> None:
    raw = {
        "task_id": "SingleLineInfilling/Own/L0",
        "prompt": "def double(n):\n",
        "canonical_solution": "    twice = n + n\n",
        "suffix": "    return twice\n",
        "test": "def check(candidate):\n    assert candidate(2) == 4\n",
        "entry_point": "double",
    }
    path = tmp_path / "tasks.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(raw).encode()))
    (task,) = outside.infilling_tasks(path)
    assert (task.before, task.after) == ("def double(n):\n    ", "\n    return twice\n")
    assert task.passes("twice = 2 * n")
    assert not task.passes("twice = n")


def test_results_continue_an_interrupted_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outside.Results(tmp_path / "x.jsonl", "small").add("way", "one", exact=True, cause="")
    outside.Results(tmp_path / "x.jsonl", "large").add("way", "two", exact=True, cause="")
    results = outside.Results(tmp_path / "x.jsonl", "small")
    results.add("way", "two", exact=False, cause="too long")
    results.add("way", "three", exact=False, cause=outside.UNUSABLE)
    results.print("exact")
    assert "way: 1 of 2 (0.50; 0.00 to 1.00) exact. {'too long': 1}" in capsys.readouterr().out
