"""The site's search finds the answers to newcomers' questions in its first three results."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .pages import ROOT

ANSWERS = json.loads((ROOT / "research" / "benchmarks" / "answers.json").read_text("utf-8"))
WANTED = 48
RUN = 6  # consecutive words, without quoted error messages


def ask(site: Path, questions: list[str], *how: str) -> list[list[dict[str, Any]]]:
    script = Path(__file__).parent / "ask.cjs"
    done = subprocess.run(
        ["node", script, site, *how], input=json.dumps(questions), capture_output=True, text=True, check=True
    )
    answers: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return answers


@pytest.fixture(scope="module")
def results(site: Path) -> list[list[dict[str, Any]]]:
    return ask(site, [answer["question"] for answer in ANSWERS])


def test_expected_sections_exist(site: Path) -> None:
    for answer in ANSWERS:
        for place in answer["sections"]:
            page, _, anchor = place.partition("#")
            html = (site / f"{page}.html").read_text("utf-8")
            assert not anchor or f'id="{anchor}"' in html, place


def test_newcomers_questions_find_the_section_in_the_top_three(
    results: list[list[dict[str, Any]]],
) -> None:
    missed = [
        f"{answer['question']}\n    wanted {answer['sections']}\n    found {[one['place'] for one in found[:3]]}"
        for answer, found in zip(ANSWERS, results, strict=True)
        if not {one["place"] for one in found[:3]} & set(answer["sections"])
    ]
    assert len(ANSWERS) - len(missed) >= WANTED, "\n".join(missed)


def test_no_page_contains_the_test_questions() -> None:
    """Otherwise the search would find the question itself."""
    pages = [re.sub(r"\W+", " ", page.read_text("utf-8")).lower() for page in ROOT.glob("docs/*.md")]
    for answer in ANSWERS:
        own = re.sub(r'"[^"]*"', " ", answer["question"])
        words = re.sub(r"\W+", " ", own).lower().split()
        runs = [" ".join(words[at : at + RUN]) for at in range(max(1, len(words) - RUN + 1))]
        assert not [run for run in runs if any(run in page for page in pages)], answer["question"]


def test_unmatched_queries_return_no_results(site: Path) -> None:
    questions = ["", "   ", "?", "xyzzyqwertz", "'\"<>&", "🎉"]
    assert ask(site, questions) == [[] for _ in questions]
